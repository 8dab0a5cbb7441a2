"""What tenants, support, agencies and a captured operator would try, by people with all their rights."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx

from clientorg.cluster.resources import (
    CLIENT_ORGS,
    CONFIG_MAPS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    ORG_PLANS,
    PODS,
    POINT_TRANSACTIONS,
    QUOTA_POOLS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    USAGE_REPORTS,
)
from tests.cluster._ledger import approval, transaction
from tests.cluster.operators import IDENTITY
from tests.cluster.verbs import Agency, Client
from tests.controlplane.choose import Cluster
from tests.support import builders
from tests.support.kube import Json, Kube

RBAC: Final = "rbac.authorization.k8s.io"
START: Final = datetime(2026, 11, 20, tzinfo=UTC)
TENANT, LOOKER = "yuki@acme.example", "rin@acme.example"
OWNER, OTHER, APPROVER = "owner@tokyo.example", "owner@osaka.example", "aya@platform.example"


@dataclass(frozen=True)
class Scene:
    """Two agencies; in the first, two clients with people of every sort."""

    api: Kube
    cluster: Cluster
    tokyo: Agency
    osaka: Agency
    acme: Client
    beta: Client
    acme_workspace: str
    beta_workspace: str

    def person(self, who: str, mark: str) -> Kube:
        """Somebody, whose requests are marked in the audit log."""
        access = self.api.access
        http = httpx.Client(
            base_url=access.server, verify=access.tls(), trust_env=False, timeout=30, headers={"User-Agent": mark}
        )
        groups = {OWNER: "tokyo-admins", "sam@tokyo.example": "tokyo-support"}.get(who, "")
        return Kube(access, client=http, user=who, groups=groups)


@dataclass(frozen=True)
class Attack:
    """One request that must be refused.

    Attributes:
        why: a part of what the server says.
        codes: 403 by a right or a policy, 422 where the object's own schema refuses it.
    """

    name: str
    who: str
    request: Callable[[Kube, Scene], object]
    why: str
    codes: tuple[int, ...] = (403,)


def bind(namespace: str, name: str, role: str, kind: str, user: str) -> Json:
    """A RoleBinding of a ClusterRole."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": kind, "name": user}],
    }


def note(namespace: str, name: str = "note") -> Json:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def cluster_wide(user: str) -> Json:
    """A ClusterRoleBinding to everything."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }


def token_of(namespace: str, account: str) -> tuple[str, str, Json]:
    """A TokenRequest."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return "POST", SERVICE_ACCOUNTS.path(namespace, account, "token"), body


def labeled(name: str, **labels: str) -> Json:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def blueprint_of(*objects: Json) -> Callable[[Kube, Scene], object]:
    """The agency's owner puts objects into the plan."""
    return lambda me, s: me.merge(
        ORG_PLANS, "standard", {"spec": {"workspace": {"blueprint": list(objects)}}}, s.tokyo.name
    )


def transacts(kind: str) -> Callable[[Kube, Scene], object]:
    """Makes a transaction."""
    return lambda me, s: me.create(transaction(kind, namespace=s.tokyo.name, name=f"forged-{kind.lower()}"))


GONE: Final = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": str(uuid.uuid4())}
ORG_ID: Final = "clientorg.dev/org-id"
ATTACKS: Final = [
    # -- a tenant, with full access to the own workspace
    Attack(
        "tenant relabels the own namespace",
        TENANT,
        lambda me, s: me.merge(NAMESPACES, s.acme_workspace, {"metadata": {"labels": {ORG_ID: "x"}}}),
        "cannot patch",
    ),
    Attack(
        "tenant takes the marks off the own namespace",
        TENANT,
        lambda me, s: me.merge(NAMESPACES, s.acme_workspace, {"metadata": {"labels": {ORG_ID: None}}}),
        "cannot patch",
    ),
    Attack(
        "tenant hijacks another's namespace",
        TENANT,
        lambda me, s: me.merge(NAMESPACES, s.beta_workspace, {"metadata": {"annotations": {"a": "b"}}}),
        "cannot patch",
    ),
    Attack("tenant makes a namespace", TENANT, lambda me, s: me.create(labeled("mine")), "cannot create"),
    Attack(
        "tenant finalizes the own namespace",
        TENANT,
        lambda me, s: me.request(
            "PUT", NAMESPACES.path(None, s.acme_workspace, "finalize"), s.api.get(NAMESPACES, s.acme_workspace)
        ),
        "cannot update",
    ),
    Attack(
        "tenant deletes the own namespace",
        TENANT,
        lambda me, s: me.delete(NAMESPACES, s.acme_workspace),
        "cannot delete",
    ),
    Attack(
        "tenant binds cluster-admin",
        TENANT,
        lambda me, s: me.create(bind(s.acme_workspace, "mine", "cluster-admin", "User", TENANT)),
        "cannot create",
    ),
    Attack(
        "tenant widens a binding",
        TENANT,
        lambda me, s: me.merge(ROLE_BINDINGS, "clientorg-client-admins", {"subjects": []}, s.acme_workspace),
        "cannot patch",
    ),
    Attack(
        "tenant lifts the quota",
        TENANT,
        lambda me, s: me.delete(RESOURCE_QUOTAS, "clientorg-quota", s.acme_workspace),
        "cannot delete",
    ),
    Attack(
        "tenant lifts the limits",
        TENANT,
        lambda me, s: me.delete(LIMIT_RANGES, "clientorg-limits", s.acme_workspace),
        "cannot delete",
    ),
    Attack(
        "tenant opens the network",
        TENANT,
        lambda me, s: me.delete(NETWORK_POLICIES, "clientorg-default-deny", s.acme_workspace),
        "cannot delete",
    ),
    Attack(
        "tenant reads another's secrets", TENANT, lambda me, s: me.list_all(SECRETS, s.beta_workspace), "cannot list"
    ),
    Attack("tenant reads every namespace", TENANT, lambda me, _: me.list_all(CONFIG_MAPS), "cannot list"),
    Attack(
        "tenant sees the agency's clients", TENANT, lambda me, s: me.list_all(CLIENT_ORGS, s.tokyo.name), "cannot list"
    ),
    Attack(
        "tenant writes its own status",
        TENANT,
        lambda me, s: me.merge(CLIENT_ORGS, "acme", {"status": {"licenses": []}}, s.tokyo.name, "status"),
        "cannot patch",
    ),
    Attack(
        "tenant reports its own usage",
        TENANT,
        lambda me, s: me.create({**builders.report(s.tokyo.name, s.acme.org_id, START, visitors=0)}),
        "cannot create",
    ),
    Attack(
        "tenant takes a token of a ServiceAccount",
        TENANT,
        lambda me, s: me.request(*token_of(s.acme_workspace, "default")),
        "cannot create",
    ),
    Attack(
        "tenant exhausts object counts",
        TENANT,
        lambda me, s: [me.create(note(s.acme_workspace, f"note-{n}")) for n in range(8)],
        "exceeded quota",
    ),
    Attack(
        "tenant deletes the grant",
        TENANT,
        lambda me, s: me.delete(CONFIG_MAPS, "clientorg-access", s.acme_workspace),
        "cannot be deleted",
    ),
    Attack(
        "tenant takes the grant's mark off",
        TENANT,
        lambda me, s: me.merge(
            CONFIG_MAPS, "clientorg-access", {"metadata": {"labels": {ORG_ID: None}}}, s.acme_workspace
        ),
        "stay as they are",
    ),
    Attack("tenant looks only and writes", LOOKER, lambda me, s: me.create(note(s.acme_workspace)), "cannot create"),
    Attack(
        "tenant looks only and reads secrets",
        LOOKER,
        lambda me, s: me.list_all(SECRETS, s.acme_workspace),
        "cannot list",
    ),
    Attack(
        "tenant looks only and grants",
        LOOKER,
        lambda me, s: me.merge(CONFIG_MAPS, "clientorg-access", {"data": {"agencyAccess": "Full"}}, s.acme_workspace),
        "cannot patch",
    ),
    # -- support, in the agency and in every workspace
    Attack(
        "support writes into a workspace",
        "sam@tokyo.example",
        lambda me, s: me.create(note(s.acme_workspace)),
        "cannot create",
    ),
    Attack(
        "support reads secrets",
        "sam@tokyo.example",
        lambda me, s: me.list_all(SECRETS, s.acme_workspace),
        "cannot list",
    ),
    Attack(
        "support enters a pod",
        "sam@tokyo.example",
        lambda me, s: me.request("POST", PODS.path(s.acme_workspace, "x", "exec"), command="sh"),
        "cannot create",
    ),
    Attack(
        "support deactivates a client",
        "sam@tokyo.example",
        lambda me, s: me.merge(CLIENT_ORGS, "acme", {"spec": {"state": "Deactivated"}}, s.tokyo.name),
        "cannot patch",
    ),
    Attack(
        "support makes itself an admin",
        "sam@tokyo.example",
        lambda me, s: me.merge(CLIENT_ORGS, "acme", {"spec": {"admins": []}}, s.tokyo.name),
        "cannot patch",
    ),
    # -- the agency's owner, on the own clients
    Attack(
        "agency writes a status",
        OWNER,
        lambda me, s: me.merge(CLIENT_ORGS, "acme", {"status": {"licenses": []}}, s.tokyo.name, "status"),
        "cannot patch",
    ),
    Attack(
        "agency forges a tombstone",
        OWNER,
        lambda me, s: me.merge(CLIENT_ORGS, "acme", {"status": {"state": "Purged"}}, s.tokyo.name, "status"),
        "cannot patch",
    ),
    Attack(
        "agency writes the pool's books",
        OWNER,
        lambda me, s: me.merge(QUOTA_POOLS, "pool", {"status": {"inFlight": []}}, s.tokyo.name, "status"),
        "cannot patch",
    ),
    Attack(
        "agency forges a usage report",
        OWNER,
        lambda me, s: me.create(builders.report(s.tokyo.name, s.acme.org_id, START, visitors=0)),
        "cannot create",
    ),
    Attack(
        "agency changes a usage report",
        OWNER,
        lambda me, s: me.delete(USAGE_REPORTS, "usage", s.tokyo.name),
        "cannot delete",
    ),
    Attack("agency approves", OWNER, lambda me, s: me.create(approval(OWNER, s.tokyo.name)), "cannot create"),
    Attack(
        "approver signs for somebody else",
        APPROVER,
        lambda me, s: me.create(approval("somebody@else.example", s.tokyo.name)),
        "approvedBy",
    ),
    Attack("agency makes points", OWNER, transacts("Purchase"), "purchase"),
    Attack("agency forges a charge", OWNER, transacts("Charge"), "operator"),
    Attack(
        "agency lets the garbage collector delete",
        OWNER,
        lambda me, s: me.create(
            {
                **(t := transaction(namespace=s.tokyo.name, name="owned")),
                "metadata": {**t["metadata"], "ownerReferences": [GONE]},
            }
        ),
        "ownerReferences",
    ),
    Attack(
        "agency deletes a client without a word",
        OWNER,
        lambda me, s: me.delete(CLIENT_ORGS, "acme", s.tokyo.name),
        "permanent",
    ),
    Attack(
        "agency deletes all clients",
        OWNER,
        lambda me, s: me.request("DELETE", CLIENT_ORGS.path(s.tokyo.name)),
        "cannot deletecollection",
    ),
    Attack(
        "agency deletes its own namespace", OWNER, lambda me, s: me.delete(NAMESPACES, s.tokyo.name), "cannot delete"
    ),
    Attack("agency deletes a workspace", OWNER, lambda me, s: me.delete(NAMESPACES, s.acme_workspace), "cannot delete"),
    Attack(
        "agency grants itself access",
        OWNER,
        lambda me, s: me.merge(CONFIG_MAPS, "clientorg-access", {"data": {"agencyAccess": "Full"}}, s.acme_workspace),
        "own admins",
    ),
    Attack(
        "agency replaces the grant",
        OWNER,
        lambda me, s: me.delete(CONFIG_MAPS, "clientorg-access", s.acme_workspace),
        "cannot be deleted",
    ),
    Attack(
        "agency makes itself the client's admin",
        OWNER,
        lambda me, s: me.merge(
            CLIENT_ORGS, "acme", {"spec": {"admins": [{"name": OWNER, "role": "Full"}]}}, s.tokyo.name
        ),
        "nobody makes themselves",
    ),
    Attack(
        "agency makes its group the client's admin",
        OWNER,
        lambda me, s: me.merge(
            CLIENT_ORGS, "acme", {"spec": {"admins": [{"name": "tokyo-admins", "kind": "Group"}]}}, s.tokyo.name
        ),
        "nobody makes themselves",
    ),
    Attack(
        "agency lets everybody in",
        OWNER,
        lambda me, s: me.merge(
            CLIENT_ORGS, "acme", {"spec": {"admins": [{"name": "system:authenticated", "kind": "Group"}]}}, s.tokyo.name
        ),
        "Kubernetes' own",
        (403, 422),
    ),
    Attack(
        "agency points across namespaces",
        OWNER,
        lambda me, s: me.create(builders.client(s.tokyo.name, "thief", pool=f"{s.osaka.name}/pool")),
        "poolRef",
        (422,),
    ),
    Attack(
        "agency takes over an Org ID",
        OWNER,
        lambda me, s: me.create(
            builders.client(s.tokyo.name, "thief", annotations={"clientorg.dev/restore-org-id": s.beta.org_id})
        ),
        "restore",
    ),
    Attack("blueprint with a right for all", OWNER, blueprint_of(cluster_wide(OWNER)), "not a kind", (422,)),
    Attack(
        "blueprint with a binding",
        OWNER,
        blueprint_of(bind("x", "mine", "cluster-admin", "User", OWNER)),
        "not a kind",
        (422,),
    ),
    Attack(
        "blueprint with a secret",
        OWNER,
        blueprint_of({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}),
        "not a kind",
        (422,),
    ),
    Attack(
        "blueprint with the grant",
        OWNER,
        blueprint_of({**note("x"), "metadata": {"name": "clientorg-access"}}),
        "taken by the operator",
        (422,),
    ),
    # -- the owner of another agency
    Attack("other agency sees clients", OTHER, lambda me, s: me.list_all(CLIENT_ORGS, s.tokyo.name), "cannot list"),
    Attack(
        "other agency makes a client",
        OTHER,
        lambda me, s: me.create(builders.client(s.tokyo.name, "thief")),
        "cannot create",
    ),
    Attack(
        "other agency drains the pool",
        OTHER,
        lambda me, s: me.merge(QUOTA_POOLS, "pool", {"spec": {"licenses": []}}, s.tokyo.name),
        "cannot patch",
    ),
    Attack(
        "other agency reads a workspace", OTHER, lambda me, s: me.list_all(CONFIG_MAPS, s.acme_workspace), "cannot list"
    ),
    Attack(
        "other agency reverses a transaction",
        OTHER,
        lambda me, s: me.delete(POINT_TRANSACTIONS, "any", s.tokyo.name),
        "cannot delete",
    ),
    Attack(
        "other agency takes a token",
        OTHER,
        lambda me, s: me.request(*token_of(s.tokyo.name, "clientorg-agency")),
        "cannot create",
    ),
    Attack(
        "other agency passes its namespace off as a workspace",
        OTHER,
        lambda me, s: me.merge(NAMESPACES, s.osaka.name, {"metadata": {"labels": {ORG_ID: "x"}}}),
        "cannot patch",
    ),
    # -- whoever may write namespaces, and the operator itself, should it fall into wrong hands
    Attack(
        "administrator marks a namespace",
        "",
        lambda me, _: me.create(labeled("mine", **{ORG_ID: "x"})),
        "only clientorg",
    ),
    Attack(
        "administrator deletes an agency without a word",
        "",
        lambda me, s: me.delete(NAMESPACES, s.tokyo.name),
        "clientorg.dev/confirm-deletion",
    ),
    Attack(
        "administrator deletes a workspace without a word",
        "",
        lambda me, s: me.delete(NAMESPACES, s.acme_workspace),
        "clientorg.dev/confirm-deletion",
    ),
    Attack(
        "operator reads foreign secrets", IDENTITY, lambda me, _: me.list_all(SECRETS, "kube-system"), "cannot list"
    ),
    Attack(
        "operator writes into kube-system", IDENTITY, lambda me, _: me.create(note("kube-system")), "only in workspaces"
    ),
    Attack(
        "operator makes itself administrator",
        IDENTITY,
        lambda me, _: me.create(cluster_wide("mallory")),
        "cannot create",
    ),
    Attack(
        "operator binds another role",
        IDENTITY,
        lambda me, s: me.create(bind(s.acme_workspace, "mine", "cluster-admin", "User", "mallory")),
        "not currently held",
    ),
]
