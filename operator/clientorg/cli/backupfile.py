"""What a backup is: our kinds as the API server has them, and as they are created again (X1, DESIGN section 3). Pure.

Taken from `kubectl get -o yaml` (a List, or several documents), from this plugin's own `backup`, or from the files of a
Velero backup; with status or without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from clientorg.api.meta import (
    ANNOTATION_CONFIRM_DELETION,
    ANNOTATION_RECONCILE,
    ANNOTATION_RESTORE,
    ANNOTATION_RESTORED_DECISION,
    API_VERSION,
    GROUP,
    LABEL_ORG_ID,
)
from clientorg.domain.identity import restored_org_id
from clientorg.errors import InputError

Json = dict[str, Any]

KINDS: Final = ("QuotaPool", "OrgPlan", "ClientOrg", "OrgApproval", "Subscription", "PointTransaction", "UsageReport")
"""In the order of their creation. The status of an OrgApproval and of a Subscription follows from their specs."""
WITH_STATUS: Final = ("ClientOrg", "PointTransaction")
"""Kinds whose status remembers what nothing else does. A pool's books are counted anew from these."""
_METADATA: Final = ("name", "namespace", "labels", "annotations")
_NOT_RESTORED: Final = (
    ANNOTATION_CONFIRM_DELETION,
    ANNOTATION_RECONCILE,
    "kubectl.kubernetes.io/last-applied-configuration",
)
_DERIVED: Final = ("conditions", "observedGeneration", "state", "pending", "lastHandledReconcileAt")
"""Of a client's status: what its next pass says anew."""


@dataclass(frozen=True)
class Restored:
    """One object of a backup, as it is created again.

    Attributes:
        status: what is written into its status afterwards; None where the backup has none, or it is not needed.
        org_id: of a client, the Org ID that it keeps; None where the backup does not tell it.
        decides_on: of an OrgApproval, the client in this backup that it is on: it is bound to the UID that this one
            gets. None where it was on no client that is in the backup; then it counts for none, as before.
    """

    manifest: Json
    status: Json | None
    org_id: str | None = None
    decides_on: str | None = None

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def is_ending(self) -> bool:
        """Whether it is a client whose contract ends, or has ended."""
        return self.kind == "ClientOrg" and "termination" in self.manifest["spec"]

    @property
    def is_the_operators(self) -> bool:
        """Whether nobody but the operator may create it (policies/transactions.yaml)."""
        return self.kind == "PointTransaction" and self.manifest["spec"].get("kind") in ("Charge", "Settlement")


def restored(documents: Iterable[object]) -> list[Restored]:
    """The objects of a backup in the order of their creation; what is not ours is left out.

    Raises:
        InputError: it is no backup, or an object is of another version.
    """
    items = list(_objects(documents))
    uids = {_full_name(item): item["metadata"].get("uid") for item in items if item["kind"] == "ClientOrg"}
    found = [_restored(item, uids) for item in items]
    if not found:
        raise InputError(f"there is no object of {GROUP} in it that could be restored ({', '.join(KINDS)})")
    created = {id(one): str(one.manifest["metadata"].pop("creationTimestamp", "")) for one in found}
    # Of transactions without status the order decides which are entered first.
    return sorted(found, key=lambda one: (KINDS.index(one.kind), created[id(one)], one.namespace, one.name))


def _objects(documents: Iterable[object]) -> Iterator[Json]:
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or "kind" not in document:
            raise InputError("it is not a list of Kubernetes objects, as `kubectl get -o yaml` writes them")
        if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
            yield from _objects(document["items"])
        elif str(document.get("apiVersion", "")).partition("/")[0] == GROUP and document["kind"] in KINDS:
            if document["apiVersion"] != API_VERSION:
                raise InputError(f"{document['kind']}: apiVersion is {document['apiVersion']}, this is {API_VERSION}")
            metadata = document.get("metadata") or {}
            if not metadata.get("name") or not metadata.get("namespace") or not isinstance(document.get("spec"), dict):
                raise InputError(f"{document['kind']} {metadata.get('name', '')}: it lacks name, namespace or spec")
            yield document


def _full_name(item: Mapping[str, Any]) -> tuple[str, str]:
    return str(item["metadata"]["namespace"]), str(item["metadata"]["name"])


def _restored(item: Mapping[str, Any], uids: Mapping[tuple[str, str], str | None]) -> Restored:
    before, status = item["metadata"], item.get("status") or {}
    metadata: Json = {key: before[key] for key in _METADATA if before.get(key)}
    metadata["creationTimestamp"] = before.get("creationTimestamp") or ""
    annotations = {key: value for key, value in metadata.pop("annotations", {}).items() if key not in _NOT_RESTORED}
    org_id, decides_on = None, None
    if item["kind"] == "OrgApproval":
        annotations.setdefault(ANNOTATION_RESTORED_DECISION, metadata["creationTimestamp"])
        client, uid = item["spec"]["clientRef"]["name"], item["spec"]["clientUID"]
        decides_on = client if uids.get((before["namespace"], client)) == uid else None
    if item["kind"] == "ClientOrg":
        told = (
            status.get("orgID"),
            annotations.get(ANNOTATION_RESTORE),
            (before.get("labels") or {}).get(LABEL_ORG_ID),
        )
        org_id = next((found for text in told if (found := restored_org_id(text)) is not None), None)
        annotations |= {ANNOTATION_RESTORE: org_id} if org_id is not None else {}
    if annotations:
        metadata["annotations"] = annotations
    manifest = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, "spec": item["spec"]}
    return Restored(manifest, _status(item["kind"], status), org_id, decides_on)


def _status(kind: str, status: Mapping[str, Any]) -> Json | None:
    if kind == "ClientOrg" and status.get("orgID"):
        return {key: value for key, value in status.items() if key not in _DERIVED}
    if kind == "PointTransaction" and status.get("phase"):
        return dict(status)
    return None


def backed_up(item: Mapping[str, Any]) -> Json:
    """An object as a backup keeps it: whole, without what says only who wrote which field."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {**item, "metadata": metadata}
