"""Is what stands in the cluster what we want there? (FEATURES X1; DESIGN section 3)

A child is compared by the digest of its content: what the server returns without metadata and status, in canonical
JSON. Children are rendered with the server's defaults, so that the digests are equal when nothing drifted; where
they are not, `matches` decides on the objects themselves before anything is written.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from clientorg.api.meta import ANNOTATION_OWNER, ANNOTATION_OWNER_UID, LABEL_MANAGED_BY, LABEL_ORG_ID, LABEL_PAUSED
from clientorg.domain.quantity import is_equal

Json = dict[str, Any]

_ENVELOPE: Final = frozenset({"apiVersion", "kind", "metadata", "status"})
POD_SECURITY: Final = "pod-security.kubernetes.io/"
_NAMESPACE_LABELS: Final = (
    LABEL_MANAGED_BY,
    LABEL_ORG_ID,
    LABEL_PAUSED,
    f"{POD_SECURITY}audit",
    f"{POD_SECURITY}enforce",
    f"{POD_SECURITY}warn",
)
_NAMESPACE_ANNOTATIONS: Final = (ANNOTATION_OWNER, ANNOTATION_OWNER_UID)


def content_of(kind: str, manifest: Json) -> Json:
    """The part of an object that we decide.

    All of it outside metadata and status, but of a namespace only our labels and annotations, and of a
    ServiceAccount only what keeps its token out of pods: others may add to those.
    """
    if kind == "Namespace":
        metadata = manifest.get("metadata") or {}
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        return {
            "labels": {name: labels[name] for name in _NAMESPACE_LABELS if name in labels},
            "annotations": {name: annotations[name] for name in _NAMESPACE_ANNOTATIONS if name in annotations},
        }
    if kind == "ServiceAccount":
        return {"automountServiceAccountToken": manifest.get("automountServiceAccountToken", True)}
    return {name: value for name, value in manifest.items() if name not in _ENVELOPE}


def digest(content: Any) -> int:
    """Digest of a content, good within this process."""
    return hash(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def stable_digest(content: Any) -> str:
    """Digest of a content that is the same in every process, for an annotation."""
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def matches(wanted: Any, found: Any) -> bool:
    """Whether what is found is what is wanted, to the letter but for the spelling of quantities.

    Anything more than wanted is drift too: one rule added to a default-deny policy opens it. Of what is empty only a
    list may be absent instead; an empty selector selects everything, and none selects nothing.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(matches(wanted.get(name), found.get(name)) for name in wanted.keys() | found.keys())
    if isinstance(wanted, list) or isinstance(found, list):
        wanted, found = [] if wanted is None else wanted, [] if found is None else found
        if not isinstance(wanted, list) or not isinstance(found, list) or len(wanted) != len(found):
            return False
        return all(matches(left, right) for left, right in zip(wanted, found, strict=True))
    if isinstance(wanted, dict) or isinstance(found, dict):
        return False
    return bool(wanted == found) or (wanted is not None and found is not None and is_equal(wanted, found))


def includes(wanted: Any, found: Any, *, to_the_letter: bool = False) -> bool:
    """Whether what is wanted is there; more may be. For blueprint objects, which their controllers add to.

    Args:
        to_the_letter: for text of the client's, where `1000` and `1k` are not the same.
    """

    def has(wanted: Any, found: Any) -> bool:
        if isinstance(wanted, dict):
            if not isinstance(found, dict):
                return not wanted and found is None
            return all(has(value, found.get(name)) for name, value in wanted.items())
        if isinstance(wanted, list):
            if not isinstance(found, list):
                return not wanted and found is None
            return len(wanted) == len(found) and all(has(a, b) for a, b in zip(wanted, found, strict=True))
        return wanted is None or bool(wanted == found) or (not to_the_letter and is_equal(wanted, found))

    return has(wanted, found)


def has_foreign_fields(manifest: Json, manager: str) -> bool:
    """Whether somebody else owns a field that we decide, as the object's managedFields tell."""
    for entry in (manifest.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == manager or entry.get("subresource"):
            continue
        if any(name not in ("f:metadata", "f:status") for name in entry.get("fieldsV1") or {}):
            return True
    return False


def is_applied_by(manifest: Json, manager: str) -> bool:
    """Whether the manager has applied the object, as its managedFields tell; labels can be written by anybody."""
    entries = (manifest.get("metadata") or {}).get("managedFields") or []
    return any(
        entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
        for entry in entries
    )
