"""What a client's workspace is made of, rendered from its plan (FEATURES Z3; DESIGN section 3).

A plan is compiled once into the parts that all its clients share; rendering for a client adds what is its own.
Contents are written as the API server returns them, defaults included (see `drift`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import orjson

from clientorg.api.access import GRANT_NAME, AccessLevel
from clientorg.api.base import DNS_SUBDOMAIN_PATTERN
from clientorg.api.meta import (
    ANNOTATION_BLUEPRINT_DIGEST,
    ANNOTATION_OWNER,
    ANNOTATION_OWNER_UID,
    FIELD_MANAGER,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_ORG_ID,
    LABEL_PAUSED,
)
from clientorg.api.orgplan import BLUEPRINT_KINDS, Limits, Network, OrgPlanSpec
from clientorg.domain.access import Grant, entrants, first_grant, rbac_subject
from clientorg.domain.calendar import zone
from clientorg.domain.drift import POD_SECURITY, content_of, digest, stable_digest
from clientorg.domain.lifecycle import Terms
from clientorg.domain.portal import PORTAL_KEY, portal_document
from clientorg.domain.quantity import canonical
from clientorg.domain.rollout import revision_of
from clientorg.domain.substitution import substitute
from clientorg.errors import PlanError

Json = dict[str, Any]

MAX_URL_LENGTH: Final = 1024
RESERVED_NAMES: Final = frozenset({"portal", "default", "kube-root-ca.crt"})
"""Names in a workspace that are the operator's or the cluster's, besides those that begin with `clientorg-`."""
_NAME: Final = re.compile(DNS_SUBDOMAIN_PATTERN)

CLIENT_ADMIN_ROLE: Final = "clientorg-client-admin"
CLIENT_VIEWER_ROLE: Final = "clientorg-client-viewer"
CLIENT_GRANTER_ROLE: Final = "clientorg-client-granter"
GRANT_KEY: Final = ("ConfigMap", GRANT_NAME)
_GRANT_HELP: Final = (
    "What the provider's people may do here. agencyAccess: Full, ReadOnly or None; supportAccess: ReadOnly or None. "
    "Changed by admins of the client with full access, and by nobody else."
)
NAMESPACE_KEY: Final = ("Namespace", "")
BLUEPRINT_COMPONENT: Final = "blueprint"
WORKSPACE_COMPONENT: Final = "workspace"

_PRIVATE_IPV4: Final = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
_PRIVATE_IPV6: Final = ["fc00::/7", "fe80::/10"]


class Gate(Enum):
    """Whether the workspace lets anything run (DESIGN section 3, Pause)."""

    OPEN = "open"
    CLOSED = "closed"
    OPENING = "opening"
    """Open already, and still marked: what was stopped is being brought back."""


@dataclass(frozen=True, slots=True)
class Org:
    """What rendering needs to know of a client."""

    name: str
    agency: str
    uid: str
    org_id: str
    namespace: str
    display_name: str
    language: str
    admins: Sequence[Mapping[str, Any]] = ()
    is_restored: bool = False
    """It came from a backup, and nobody else has its Org ID: a workspace of that ID and name is its own."""
    menus: Sequence[Mapping[str, Any]] = ()
    """What the client's own portal shows and hides, where it is not what the plan says."""
    labels: Mapping[str, str] = field(default_factory=dict)
    support: Sequence[Mapping[str, Any]] = ()
    agency_access: AccessLevel = AccessLevel.FULL
    grant: Grant | None = None

    @property
    def url_variables(self) -> dict[str, str]:
        """Values for `$(…)` within an address."""
        return {name: quote(value, safe="") for name, value in self.variables.items()}

    @property
    def variables(self) -> dict[str, str]:
        """Values for `$(…)`."""
        return {
            "name": self.name,
            "orgID": self.org_id,
            "namespace": self.namespace,
            "displayName": self.display_name,
            "agency": self.agency,
            "language": self.language,
        }


@dataclass(frozen=True, slots=True)
class Child:
    """One object of a workspace.

    Attributes:
        content: everything outside metadata; for the namespace its labels and annotations.
        digest: of the content, comparable with the digest of what the server returns.
        is_blueprint: compared by inclusion, since its controllers and the client may add to it.
        is_handed_over: made once; what is in it is the client's from then on.
    """

    api_version: str
    kind: str
    name: str
    content: Json
    digest: int
    is_blueprint: bool = False
    is_handed_over: bool = False
    labels: Json | None = None
    annotations: Json | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Identity within the workspace."""
        return NAMESPACE_KEY if self.kind == "Namespace" else (self.kind, self.name)

    def manifest(self, org: Org) -> Json:
        """The object to apply."""
        if self.kind == "Namespace":
            return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, **self.content}}
        metadata: Json = {
            "name": self.name,
            "namespace": org.namespace,
            "labels": {**(self.labels or {}), **own_labels(org.org_id, self.is_blueprint)},
        }
        if self.annotations:
            metadata["annotations"] = self.annotations
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata, **self.content}


def own_labels(org_id: str, is_blueprint: bool) -> dict[str, str]:
    """The labels that we put on every object of a workspace, and that nobody else changes."""
    component = BLUEPRINT_COMPONENT if is_blueprint else WORKSPACE_COMPONENT
    return {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_COMPONENT: component, LABEL_ORG_ID: org_id}


def _child(api_version: str, kind: str, name: str, content: Json) -> Child:
    return Child(api_version, kind, name, content, digest(content))


_GATE: Final = _child("v1", "ResourceQuota", "clientorg-paused", {"spec": {"hard": {"pods": "0"}}})


class PlanTemplate:
    """A plan, compiled for rendering."""

    def __init__(self, spec: OrgPlanSpec) -> None:
        self.spec = spec
        workspace = spec.workspace
        quota = {name: canonical(value) for name, value in workspace.resource_quota.items()}
        self._shared = [
            _child("v1", "ResourceQuota", "clientorg-quota", {"spec": {"hard": quota}}),
            _child("v1", "LimitRange", "clientorg-limits", {"spec": {"limits": [_limits(workspace.limits)]}}),
            _child("v1", "ServiceAccount", "default", {"automountServiceAccountToken": False}),
            *_network_policies(workspace.network),
        ]

    @cached_property
    def revision(self) -> str:
        """The digest by which the plan's blueprint is known."""
        return revision_of(self.spec.workspace.blueprint)

    @cached_property
    def blueprint_bytes(self) -> int:
        """Size of the blueprint as JSON."""
        return len(orjson.dumps(self.spec.workspace.blueprint))

    @cached_property
    def terms(self) -> Terms:
        """The terms of deactivation.

        Raises:
            PlanError: the time zone is none.
        """
        terms = self.spec.deactivation
        try:
            time_zone = zone(self.spec.time_zone)
        except ValueError as error:
            raise PlanError(f"spec.timeZone: {error}") from error
        days = tuple(sorted(set(terms.reminder_days), reverse=True))
        return Terms(terms.grace_period_months, days, terms.minimum_notice_days, time_zone)

    def render(self, org: Org, gate: Gate = Gate.OPEN, blueprint: Sequence[Child] | None = None) -> list[Child]:
        """Every object of the client's workspace, the namespace first; the gate that is closed right after it.

        Args:
            blueprint: in place of the plan's own, for a workspace that has or keeps another one.

        Raises:
            PlanError: the blueprint cannot be rendered for this client.
        """
        return [
            self._namespace(org, gate),
            *([_GATE] if gate is Gate.CLOSED else []),
            *self._shared,
            grant_child(org),
            *self._bindings(org),
            self._portal(org),
            *(render_blueprint(self.spec.workspace.blueprint, org) if blueprint is None else blueprint),
        ]

    def url(self, org: Org) -> str | None:
        """Address of the client's workspace in the product.

        Raises:
            PlanError: with this client's values it gets too long.
        """
        template = self.spec.workspace.url_template
        if not template:
            return None
        address = str(substitute(template, org.url_variables))
        if len(address) > MAX_URL_LENGTH:
            raise PlanError(
                f"spec.workspace.urlTemplate: gives {len(address)} characters for this client, at most "
                f"{MAX_URL_LENGTH} fit; use a shorter variable, for example $(orgID)"
            )
        return address

    def _bindings(self, org: Org) -> list[Child]:
        """Who enters, as RoleBindings: the client's people, then the provider's."""
        full = [rbac_subject(admin["kind"], admin["name"]) for admin in org.admins if admin["role"] == "Full"]
        readers = [rbac_subject(admin["kind"], admin["name"]) for admin in org.admins if admin["role"] != "Full"]
        provider = entrants(
            self.spec.workspace.access, org.agency, org.labels, org.support, org.agency_access, org.grant
        )
        return [
            *_bindings("clientorg-client-admins", CLIENT_ADMIN_ROLE, full),
            *_bindings("clientorg-client-granters", CLIENT_GRANTER_ROLE, full),
            *_bindings("clientorg-client-viewers", CLIENT_VIEWER_ROLE, readers),
            *_bindings("clientorg-agency", CLIENT_ADMIN_ROLE, provider.full),
            *_bindings("clientorg-agency-viewers", CLIENT_VIEWER_ROLE, provider.readers),
            *_bindings("clientorg-support", CLIENT_VIEWER_ROLE, provider.support),
        ]

    @cached_property
    def _pod_security(self) -> dict[str, str]:
        level = self.spec.workspace.pod_security
        return {
            f"{POD_SECURITY}enforce": str(level.enforce),
            f"{POD_SECURITY}audit": str(level.warn),
            f"{POD_SECURITY}warn": str(level.warn),
        }

    def _namespace(self, org: Org, gate: Gate) -> Child:
        paused = {} if gate is Gate.OPEN else {LABEL_PAUSED: "true"}
        metadata = {
            "labels": {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_ORG_ID: org.org_id, **paused, **self._pod_security},
            "annotations": {ANNOTATION_OWNER: f"{org.agency}/{org.name}", ANNOTATION_OWNER_UID: org.uid},
        }
        content = content_of("Namespace", {"metadata": metadata})
        return _child("v1", "Namespace", org.namespace, content)

    def _portal(self, org: Org) -> Child:
        text = orjson.dumps(portal_document(self.spec.workspace.portal, org), option=orjson.OPT_INDENT_2).decode()
        return _child("v1", "ConfigMap", "portal", {"data": {PORTAL_KEY: text}})


def render_blueprint(blueprint: Sequence[Json], org: Org) -> list[Child]:
    """The objects of a blueprint for one client.

    Raises:
        PlanError: one of them is none that a blueprint may hold, or there twice.
    """
    children: dict[tuple[str, str], Child] = {}
    for index, source in enumerate(blueprint):
        child = _blueprint_child(f"spec.workspace.blueprint[{index}]", substitute(source, org.variables))
        if child.key in children:
            raise PlanError(f"spec.workspace.blueprint[{index}]: {child.kind} {child.name} is there twice; remove one")
        children[child.key] = child
    return list(children.values())


def _blueprint_child(path: str, manifest: Json) -> Child:
    """One object of a blueprint after substitution, which the CRD's rules could not see.

    Raises:
        PlanError: its kind or name is none that a blueprint may have.
    """
    kind, metadata = str(manifest.get("kind")), manifest.get("metadata") or {}
    name = str(metadata.get("name"))
    if (manifest.get("apiVersion"), kind) not in BLUEPRINT_KINDS:
        raise PlanError(f"{path}: {manifest.get('apiVersion')}/{kind} may not be in a blueprint; remove it")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise PlanError(
            f"{path}.metadata.name: {name[:100]!r} is no name of an object: lower-case letters, digits, '-' and '.'; "
            "correct it, or do not make it of a text that anybody may write, such as $(displayName)"
        )
    if name.startswith("clientorg-") or name in RESERVED_NAMES:
        raise PlanError(f"{path}.metadata.name: {name!r} is the operator's own; choose another")
    if kind == "Job" and "ttlSecondsAfterFinished" in (manifest.get("spec") or {}):
        raise PlanError(
            f"{path}.spec.ttlSecondsAfterFinished: leave it out; a Job that is deleted when it has finished would be "
            "made and run again each time"
        )
    content = content_of("", manifest)
    annotations = metadata.get("annotations") or {}
    identity = [content, metadata.get("labels"), annotations]
    return Child(
        manifest["apiVersion"],
        kind,
        name,
        content,
        digest(identity),
        is_blueprint=True,
        labels=metadata.get("labels"),
        annotations={**annotations, ANNOTATION_BLUEPRINT_DIGEST: stable_digest(identity)},
    )


def _limits(limits: Limits) -> Json:
    """One LimitRange item with the defaults that the API server would add (core/v1 SetDefaults_LimitRangeItem)."""
    most = {name: canonical(value) for name, value in limits.max.items()}
    default = {**most, **{name: canonical(value) for name, value in limits.default.items()}}
    request = {**default, **{name: canonical(value) for name, value in limits.default_request.items()}}
    item: Json = {"type": "Container"}
    for name, value in (("max", most), ("default", default), ("defaultRequest", request)):
        if value:
            item[name] = value
    return item


def _network_policies(network: Network) -> list[Child]:
    everything: Json = {"podSelector": {}}
    dns_peer: Json = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": network.dns.namespace}}}
    if network.dns.pod_labels:
        dns_peer["podSelector"] = {"matchLabels": dict(network.dns.pod_labels)}
    dns_ports = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    specs: dict[str, Json] = {
        "clientorg-default-deny": {"policyTypes": ["Ingress", "Egress"]},
        "clientorg-allow-dns": {"policyTypes": ["Egress"], "egress": [{"to": [dns_peer], "ports": dns_ports}]},
    }
    if network.allow_internal:
        specs["clientorg-allow-internal"] = {
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [everything]}],
            "egress": [{"to": [everything]}],
        }
    if network.allow_ingress_from:
        peers = [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
            for namespace in network.allow_ingress_from
        ]
        specs["clientorg-allow-ingress"] = {"policyTypes": ["Ingress"], "ingress": [{"from": peers}]}
    if network.allow_internet:
        blocks = [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": _PRIVATE_IPV4}},
            {"ipBlock": {"cidr": "::/0", "except": _PRIVATE_IPV6}},
        ]
        specs["clientorg-allow-internet"] = {"policyTypes": ["Egress"], "egress": [{"to": blocks}]}
    return [
        _child("networking.k8s.io/v1", "NetworkPolicy", name, {"spec": {**everything, **spec}})
        for name, spec in specs.items()
    ]


CORE_CHILDREN: Final = frozenset(
    {
        ("ResourceQuota", "clientorg-quota"),
        ("ResourceQuota", "clientorg-paused"),
        ("LimitRange", "clientorg-limits"),
        ("NetworkPolicy", "clientorg-default-deny"),
        ("NetworkPolicy", "clientorg-allow-dns"),
        ("NetworkPolicy", "clientorg-allow-internal"),
        ("NetworkPolicy", "clientorg-allow-ingress"),
        ("NetworkPolicy", "clientorg-allow-internet"),
        ("RoleBinding", "clientorg-agency"),
        ("RoleBinding", "clientorg-agency-viewers"),
        ("RoleBinding", "clientorg-support"),
        ("RoleBinding", "clientorg-client-admins"),
        ("RoleBinding", "clientorg-client-granters"),
        ("RoleBinding", "clientorg-client-viewers"),
    }
)
"""Every object that some plan or spec may ask for: what is there and not wanted any more is deleted by name."""

OWN_NAMES: Final = frozenset(
    {*CORE_CHILDREN, GRANT_KEY, ("ConfigMap", "portal"), ("ServiceAccount", "default"), NAMESPACE_KEY}
)
"""Every object of a workspace that is not from a blueprint."""


def grant_child(org: Org) -> Child:
    """What the client grants the provider; only what a new workspace begins with is ours to say."""
    content = {"data": first_grant(org.agency_access).data}
    annotations = {"kubernetes.io/description": _GRANT_HELP}
    return Child("v1", *GRANT_KEY, content, digest(content), is_handed_over=True, annotations=annotations)


def _bindings(name: str, role: str, subjects: Sequence[Json]) -> list[Child]:
    if not subjects:
        return []
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    content = {"subjects": list(subjects), "roleRef": role_ref}
    return [_child("rbac.authorization.k8s.io/v1", "RoleBinding", name, content)]
