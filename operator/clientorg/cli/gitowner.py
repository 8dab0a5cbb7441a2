"""Who else writes an object: an application of Argo CD or Flux, whose Git repository is where it is changed (X1). Pure.

Sources: Argo CD's documentation on resource tracking (annotation `argocd.argoproj.io/tracking-id`, or the label
`app.kubernetes.io/instance`); Flux's labels of kustomize-controller and helm-controller, and the annotations by which a
Kustomization leaves an object alone; Kubernetes' `metadata.managedFields` where neither is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

TRACKING_ID: Final = "argocd.argoproj.io/tracking-id"
INSTANCE: Final = "app.kubernetes.io/instance"
_ARGO_MANAGER: Final = "argocd-"
_FLUX: Final = {"kustomize": "Kustomization", "helm": "HelmRelease"}
_FLUX_LEAVES_ALONE: Final = {"reconcile": ("disabled",), "ssa": ("ignore", "ifnotpresent")}


@dataclass(frozen=True)
class GitOwner:
    """An application that brings objects to what its Git repository says.

    Attributes:
        name: empty where the object does not tell it.
        namespace: empty where the object does not tell it.
        evidence: what of the object says so.
    """

    tool: str
    kind: str
    name: str
    namespace: str
    evidence: str

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.tool} {self.kind} {where}{self.name}" if self.name else f"{self.tool} ({self.kind} unknown)"


def git_owner(item: Mapping[str, Any]) -> GitOwner | None:
    """The application that manages the object; None where Git does not."""
    return _argo(item) or _flux(item)


def _argo(item: Mapping[str, Any]) -> GitOwner | None:
    metadata = item["metadata"]
    tracked = (metadata.get("annotations") or {}).get(TRACKING_ID, "")
    application, _, rest = tracked.partition(":")
    own = f"{_group(item)}/{item.get('kind', '')}:{metadata.get('namespace', '')}/{metadata['name']}"
    if application and rest == own:  # a copy of an object carries the original's, and Argo CD ignores it
        # In any namespace but Argo CD's own, an Application is called <namespace>_<name>.
        namespace, _, name = application.rpartition("_")
        return GitOwner("Argo CD", "Application", name, namespace, f"annotation {TRACKING_ID}")
    manager = _spec_manager(metadata, lambda name: name.startswith(_ARGO_MANAGER))
    if manager is None:
        return None
    instance = (metadata.get("labels") or {}).get(INSTANCE, "")
    return GitOwner("Argo CD", "Application", instance, "", f"field manager {manager}")


def _flux(item: Mapping[str, Any]) -> GitOwner | None:
    metadata = item["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    for engine, kind in _FLUX.items():
        prefix = f"{engine}.toolkit.fluxcd.io"
        if any(annotations.get(f"{prefix}/{key}", "").lower() in values for key, values in _FLUX_LEAVES_ALONE.items()):
            continue
        if name := labels.get(f"{prefix}/name"):
            return GitOwner("Flux", kind, name, labels.get(f"{prefix}/namespace", ""), f"label {prefix}/name")
        controller = f"{engine}-controller"
        if _spec_manager(metadata, lambda name, controller=controller: name == controller) is not None:
            return GitOwner("Flux", kind, "", "", f"field manager {controller}")
    return None


def _group(item: Mapping[str, Any]) -> str:
    group, _, version = str(item.get("apiVersion", "")).partition("/")
    return group if version else ""


def _spec_manager(metadata: Mapping[str, Any], is_theirs: Any) -> str | None:
    """The manager, of those asked about, that owns fields of the spec."""
    for entry in metadata.get("managedFields") or ():
        if "f:spec" in (entry.get("fieldsV1") or {}) and is_theirs(entry.get("manager", "")):
            return str(entry["manager"])
    return None


def patch_to_commit(item: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """What a command would write, as a patch that kustomize takes: `patches: [{path: FILE}]`.

    Without what is of this cluster only: the version it was judged by, and the cause, which the commit's message tells.
    """
    from clientorg.cli.options import CHANGE_CAUSE

    metadata: Json = {"name": item["metadata"]["name"], "namespace": item["metadata"].get("namespace", "")}
    annotations = (patch.get("metadata") or {}).get("annotations") or {}
    annotations = {key: value for key, value in annotations.items() if key != CHANGE_CAUSE}
    if annotations:
        metadata["annotations"] = annotations
    rest = {key: value for key, value in patch.items() if key != "metadata"}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, **rest}
