"""What stands in the workspaces, as digests: enough to see drift, little enough for ten thousand clients.

An object is found in order when its digest is the wanted one, or one that was accepted before: after our own apply,
or after it was fetched and compared. So a settled system writes nothing, also after a restart (FEATURES X1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from clientorg.api.meta import ANNOTATION_BLUEPRINT_DIGEST, ANNOTATION_OWNER_UID, FIELD_MANAGER, LABEL_PAUSED
from clientorg.domain.access import Grant, read_grant
from clientorg.domain.drift import content_of, digest
from clientorg.domain.workspace import GRANT_KEY, NAMESPACE_KEY, OWN_NAMES, own_labels

Json = dict[str, Any]
ChildKey = tuple[str, str]
"""Kind and name, within one workspace; the namespace itself is `NAMESPACE_KEY`."""


_ABSENT = msgspec.Raw()
OWN_LABELS = tuple(own_labels("", is_blueprint=False))


class Meta(msgspec.Struct):
    """The metadata we look at."""

    name: str
    resourceVersion: str  # noqa: N815 - names on the wire
    uid: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletionTimestamp: str | None = None  # noqa: N815
    managedFields: msgspec.Raw = _ABSENT  # noqa: N815


class Item(msgspec.Struct):
    """An object of a workspace, its content not decoded."""

    metadata: Meta
    spec: msgspec.Raw = _ABSENT
    data: msgspec.Raw = _ABSENT
    binaryData: msgspec.Raw = _ABSENT  # noqa: N815
    immutable: msgspec.Raw = _ABSENT
    subjects: msgspec.Raw = _ABSENT
    roleRef: msgspec.Raw = _ABSENT  # noqa: N815
    automountServiceAccountToken: bool | None = None  # noqa: N815


_RAW_FIELDS = ("spec", "data", "binaryData", "immutable", "subjects", "roleRef")


class NamespaceView(msgspec.Struct, frozen=True):
    """The namespace of a workspace."""

    name: str
    uid: str
    owner_uid: str | None
    deleting: bool
    paused: bool = False


def _our_fields(managed_fields: Any) -> Any:
    """The set of fields we own, as the server keeps it: it shrinks when somebody else takes one over."""
    for entry in managed_fields or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return entry.get("fieldsV1")
    return None


def _blueprint_digest(key: ChildKey, annotations: Json | None, managed_fields: Any) -> int | None:
    """Digest of an object that we applied from a blueprint; None for any other.

    Its controllers and the client may add to it, so that what counts is what we own and what we applied. That it is
    from a blueprint is told by the fields that we own, since a client may write labels and annotations.
    """
    if key in OWN_NAMES:
        return None
    if isinstance(managed_fields, msgspec.Raw):
        managed_fields = orjson.loads(memoryview(managed_fields)) if managed_fields else None
    fields = _our_fields(managed_fields)
    if fields is None:
        return None
    return digest([fields, (annotations or {}).get(ANNOTATION_BLUEPRINT_DIGEST)])


def _with_labels(value: int, namespace: str, labels: Json | None, is_blueprint: bool) -> int:
    """The digest as it is where our labels are right, another one where they are not."""
    found = {name: (labels or {}).get(name) for name in OWN_LABELS}
    right = own_labels(namespace.rpartition("-")[2], is_blueprint)
    return value if found == right else digest([value, found])


def digest_of_item(kind: str, item: Item) -> int:
    """Digest of an object as it was listed or watched; the same as `digest_of_manifest` of the whole object."""
    metadata = item.metadata
    if kind == "Namespace":
        meta = {"labels": metadata.labels, "annotations": metadata.annotations}
        return digest(content_of(kind, {"metadata": meta}))
    if kind == "ServiceAccount":
        automount = item.automountServiceAccountToken
        return digest({"automountServiceAccountToken": True if automount is None else automount})
    return _digest_of_raw(tuple((name, bytes(raw)) for name in _RAW_FIELDS if (raw := getattr(item, name))))


@lru_cache(maxsize=4096)
def _digest_of_raw(fields: tuple[tuple[str, bytes], ...]) -> int:
    """Most objects are the same in every workspace, to the byte: what was read once is not decoded again."""
    return digest({name: orjson.loads(raw) for name, raw in fields})


def digest_of_manifest(manifest: Json) -> int:
    """Digest of an object as the server returned it whole."""
    return digest(content_of(manifest["kind"], manifest))


class Children:
    """The workspaces' objects as last seen, by namespace."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._seen: dict[str, dict[ChildKey, tuple[int, int]]] = {}
        self._namespaces: dict[str, NamespaceView] = {}
        self._accepted: dict[tuple[int, int], None] = {}
        self._from_blueprint: dict[str, set[ChildKey]] = {}
        self._grants: dict[str, Grant] = {}
        self._keys: dict[ChildKey, ChildKey] = {}  # the same few keys in every workspace: one tuple each

    # -- reading ------------------------------------------------------------------------------------------------

    def namespace(self, name: str) -> NamespaceView | None:
        """The namespace, if it is there."""
        return self._namespaces.get(name)

    def namespaces(self) -> set[str]:
        """Names of all workspaces that are there."""
        return set(self._namespaces)

    def keys(self, namespace: str) -> set[ChildKey]:
        """What stands in a workspace."""
        return set(self._seen.get(namespace, ()))

    def blueprint_keys(self, namespace: str) -> frozenset[ChildKey]:
        """What we applied from a blueprint."""
        return frozenset(self._from_blueprint.get(namespace, ()))

    def grant(self, namespace: str) -> Grant | None:
        """What the client grants the provider; None while its workspace does not say."""
        return self._grants.get(namespace)

    def digest(self, namespace: str, key: ChildKey) -> int | None:
        """Digest of an object as last seen; None when it is not there."""
        seen = self._seen.get(namespace, {}).get(key)
        return seen[1] if seen is not None else None

    def is_in_order(self, namespace: str, key: ChildKey, wanted: int) -> bool:
        """Whether the object is known to be what is wanted."""
        found = self.digest(namespace, key)
        return found is not None and (found == wanted or (wanted, found) in self._accepted)

    # -- writing ------------------------------------------------------------------------------------------------

    def accept(self, wanted: int, found: int) -> None:
        """An object with the digest `found` is as good as one with `wanted`: the server added defaults."""
        if wanted != found:
            self._accepted[wanted, found] = None
            if len(self._accepted) > 100_000:  # contents that differ from client to client; the oldest first
                del self._accepted[next(iter(self._accepted))]

    def record(self, namespace: str, manifest: Json) -> int:
        """Take in an object that the server returned whole; gives its digest."""
        metadata = manifest["metadata"]
        key = self._key(manifest["kind"], metadata["name"])
        from_blueprint = _blueprint_digest(key, metadata.get("annotations"), metadata.get("managedFields"))
        value = digest_of_manifest(manifest) if from_blueprint is None else from_blueprint
        if key != NAMESPACE_KEY:
            value = _with_labels(value, namespace, metadata.get("labels"), from_blueprint is not None)
        self._mark(namespace, key, from_blueprint is not None)
        if manifest["kind"] == "Namespace":
            self._namespaces[namespace] = NamespaceView(
                metadata["name"],
                metadata["uid"],
                (metadata.get("annotations") or {}).get(ANNOTATION_OWNER_UID),
                "deletionTimestamp" in metadata,
                LABEL_PAUSED in (metadata.get("labels") or {}),
            )
        self._note(namespace, key, int(metadata["resourceVersion"]), value)
        if key == GRANT_KEY and self._seen[namespace][key][0] == int(metadata["resourceVersion"]):
            self._grants[namespace] = read_grant(manifest.get("data") or {})
        return value

    def forget(self, namespace: str, key: ChildKey) -> None:
        """We deleted the object ourselves, or the server says that it is not there."""
        self._lose(namespace, key)

    def _key(self, kind: str, name: str) -> ChildKey:
        if kind == NAMESPACE_KEY[0]:
            return NAMESPACE_KEY
        key = (kind, name)
        return self._keys.setdefault(key, key)

    def _mark(self, namespace: str, key: ChildKey, is_blueprint: bool) -> None:
        if is_blueprint:
            self._from_blueprint.setdefault(namespace, set()).add(key)
        elif namespace in self._from_blueprint:
            self._from_blueprint[namespace].discard(key)

    def _lose(self, namespace: str, key: ChildKey) -> None:
        self._seen.get(namespace, {}).pop(key, None)
        self._mark(namespace, key, is_blueprint=False)
        if key == GRANT_KEY:
            self._grants.pop(namespace, None)
        if key == NAMESPACE_KEY:
            self._grants.pop(namespace, None)
            self._namespaces.pop(namespace, None)
            self._seen.pop(namespace, None)
            self._from_blueprint.pop(namespace, None)

    def _knows(self, namespace: str, key: ChildKey, version: int) -> bool:
        seen = self._seen.get(namespace)
        before = seen.get(key) if seen is not None else None
        return before is not None and before[0] >= version

    def _note(self, namespace: str, key: ChildKey, version: int, value: int) -> bool:
        """Whether this is new and different."""
        seen = self._seen.setdefault(namespace, {})
        before = seen.get(key)
        if before is not None and before[0] >= version:
            return False
        seen[key] = (version, value)
        return before is None or before[1] != value

    # -- informers ----------------------------------------------------------------------------------------------

    def sink(self, kind: str) -> ChildSink:
        """The sink for the informer of one kind."""
        return ChildSink(self, kind)

    def put(self, kind: str, item: Item) -> None:
        """An object was listed or watched."""
        metadata = item.metadata
        namespace = metadata.name if kind == "Namespace" else metadata.namespace
        key = self._key(kind, metadata.name)
        if self._knows(namespace, key, int(metadata.resourceVersion)):
            return  # mostly our own write, whose answer came before the event
        if kind == "Namespace":
            view = NamespaceView(
                metadata.name,
                metadata.uid,
                (metadata.annotations or {}).get(ANNOTATION_OWNER_UID),
                metadata.deletionTimestamp is not None,
                LABEL_PAUSED in (metadata.labels or {}),
            )
            if self._namespaces.get(namespace) != view:
                self._namespaces[namespace] = view
                self._changed(namespace)
        from_blueprint = _blueprint_digest(key, metadata.annotations, metadata.managedFields)
        value = digest_of_item(kind, item) if from_blueprint is None else from_blueprint
        if key != NAMESPACE_KEY:
            value = _with_labels(value, namespace, metadata.labels, from_blueprint is not None)
        self._mark(namespace, key, from_blueprint is not None)
        if self._note(namespace, key, int(metadata.resourceVersion), value):
            if key == GRANT_KEY:
                self._grants[namespace] = read_grant(orjson.loads(memoryview(item.data)) if item.data else {})
            self._changed(namespace)

    def drop(self, kind: str, namespace: str, name: str, version: int) -> None:
        """An object is gone, as of that resourceVersion."""
        seen = self._seen.get(namespace, {})
        key = self._key(kind, name)
        before = seen.get(key)
        if before is None or before[0] > version:
            return
        self._lose(namespace, key)
        self._changed(namespace)

    def sweep(self, kind: str, named: set[tuple[str, str]], listed_at: int) -> None:
        """Drop what a complete list did not name."""
        for namespace, seen in list(self._seen.items()):
            for key in [key for key in seen if key[0] == kind and (namespace, key[1] or namespace) not in named]:
                self.drop(kind, namespace, key[1], listed_at)


class ChildSink:
    """Delivers one kind's objects to `Children`."""

    def __init__(self, children: Children, kind: str) -> None:
        self._children = children
        self._kind = kind
        self._named: set[tuple[str, str]] = set()
        self._listing = True

    def put(self, item: Item) -> None:
        """An object was added or changed, or is there at a list."""
        if self._listing:
            self._named.add((item.metadata.namespace or item.metadata.name, item.metadata.name))
        self._children.put(self._kind, item)

    def drop(self, item: Item) -> None:
        """An object is gone, or lost the label that marks it ours."""
        metadata = item.metadata
        self._children.drop(
            self._kind, metadata.namespace or metadata.name, metadata.name, int(metadata.resourceVersion)
        )

    def sweep(self, listed_at: int) -> None:
        """A list is complete."""
        self._children.sweep(self._kind, self._named, listed_at)
        self._named = set()
        self._listing = False

    def begin(self) -> None:
        """A list begins."""
        self._named = set()
        self._listing = True
