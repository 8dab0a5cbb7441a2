"""Who may write points, approvals and requests, on a real API server, both ways (FEATURES S2, S6, X3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.cluster._ledger import ROUTES, approval, transaction
from tests.cluster._plane import (
    CLUSTER_ADMIN,
    GARBAGE_COLLECTOR,
    NAMESPACE_CONTROLLER,
    OPERATOR,
    OWNER,
    Answer,
    Json,
    Plane,
    client_org,
    quota_pool,
    remove_namespace,
    role_ref,
    until,
)
from tests.cluster.test_admission import refused, taken
from tests.controlplane.waiting import wait_until

pytest_plugins = ["tests.cluster._plane"]

pytestmark = pytest.mark.cluster

TRANSACTIONS, CLIENTS, APPROVALS = "pointtransactions", "clientorgs", "orgapprovals"
BASE = ["get", "list", "watch", "create", "update", "patch", "delete"]
DISTRIBUTOR, BOSS, CLERK = "distributor@example", "boss@agency.example", "clerk@agency.example"
PORTAL, APPROVER, WILDCARD = "portal@agency.example", "approver@platform.example", "wildcard@agency.example"
RESTORED, DECIDED = "clientorg.dev/restored-decision-time", "2026-11-02T09:00:00Z"
PEOPLE: dict[str, dict[str, list[str]]] = {
    DISTRIBUTOR: {TRANSACTIONS: [*BASE, "purchase"]},
    BOSS: {TRANSACTIONS: [*BASE, "top-up", "withdraw", "reverse"], CLIENTS: BASE},
    CLERK: {TRANSACTIONS: BASE, CLIENTS: BASE},
    PORTAL: {TRANSACTIONS: [*BASE, "top-up", "request-for-others"], CLIENTS: [*BASE, "request-for-others"]},
    APPROVER: {APPROVALS: BASE},
    WILDCARD: {TRANSACTIONS: ["*"]},
}


@pytest.fixture(scope="module")
def house(plane: Plane) -> Iterator[str]:
    """An agency with these people; the tests of the module only try in it (dry run)."""
    name = f"agency-{uuid.uuid4().hex[:8]}"
    plane.do("create", "namespace", name)
    admit(plane, name)
    yield name
    remove_namespace(plane, name, wait=False)


def admit(plane: Plane, namespace: str) -> None:
    """Give everybody their rights in a namespace."""
    rbac = "rbac.authorization.k8s.io"
    objects = []
    for user, rights in PEOPLE.items():
        group = {"apiVersion": f"{rbac}/v1", "metadata": {"name": user.split("@")[0], "namespace": namespace}}
        rules = [{"apiGroups": ["clientorg.dev"], "resources": [what], "verbs": rights[what]} for what in rights]
        subject = {"kind": "User", "name": user, "apiGroup": rbac}
        ref = role_ref("Role", user.split("@")[0])
        objects += [
            {**group, "kind": "Role", "rules": rules},
            {**group, "kind": "RoleBinding", "subjects": [subject], "roleRef": ref},
        ]
    created = plane.create(*objects)
    assert created.code == 0, created.err


# -- who makes which transaction -----------------------------------------------------------------------------------

VERBS = {
    "Purchase": "purchase",
    "TopUp": "top-up",
    "Withdrawal": "withdraw",
    "Reversal": "reverse",
}
MAY: dict[str, set[str]] = {
    DISTRIBUTOR: {"Purchase"},
    BOSS: {"TopUp", "Withdrawal", "Reversal"},
    CLERK: set(),
    PORTAL: {"TopUp"},
    WILDCARD: set(VERBS),
    CLUSTER_ADMIN: set(VERBS),
    OPERATOR: {"Charge", "Settlement"},
}


@pytest.mark.parametrize("user", MAY, ids=lambda user: user or "cluster-admin")
def test_each_makes_the_kinds_they_have_the_verb_for(plane: Plane, house: str, user: str) -> None:
    for kind in ROUTES:
        answer = plane.as_(user).create(transaction(kind, namespace=house), dry_run=True)
        if kind in MAY[user]:
            taken(answer)
        elif kind in VERBS:
            who = f"spec.kind: {user} may not make a {kind} in namespace {house}"
            refused(answer, who, f"the verb `{VERBS[kind]}` on pointtransactions; ask whoever runs the platform")
        else:
            refused(answer, f"spec.kind: only clientorg-operator makes a {kind}", "make a Withdrawal")


def test_verb_in_one_agency_is_none_in_another(plane: Plane, house: str, agency: str) -> None:
    plane.do("create", "role", "maker", f"-n={agency}", "--verb=create", f"--resource={TRANSACTIONS}.clientorg.dev")
    plane.do("create", "rolebinding", "maker", f"-n={agency}", "--role=maker", f"--user={BOSS}")

    taken(plane.as_(BOSS).create(transaction(namespace=house), dry_run=True))
    refused(plane.as_(BOSS).create(transaction(namespace=agency), dry_run=True), "takes the verb `top-up`")


def test_transaction_by_server_side_apply_is_judged_alike(plane: Plane, house: str) -> None:
    def apply(user: str) -> Answer:
        manifest = transaction(namespace=house)
        return plane.as_(user).run("apply", "--server-side", "--dry-run=server", "-f=-", stdin=manifest)

    taken(apply(BOSS))
    refused(apply(CLERK), "takes the verb `top-up`")


def test_transaction_is_made_in_ones_own_name(plane: Plane, house: str) -> None:
    def makes(user: str, requester: str) -> Answer:
        return plane.as_(user).create(transaction(namespace=house, requestedBy=requester), dry_run=True)

    taken(makes(BOSS, BOSS))
    refused(makes(BOSS, CLERK), f"spec.requestedBy: must be {BOSS}", "or absent", "`request-for-others`")
    taken(makes(PORTAL, CLERK))
    taken(makes(CLUSTER_ADMIN, CLERK))


# -- deleting transactions -----------------------------------------------------------------------------------------


@pytest.fixture
def posted(plane: Plane, agency: str) -> str:
    """An agency with the posted transaction `first`."""
    admit(plane, agency)
    plane.do("create", "-f=-", stdin=transaction(namespace=agency))
    plane.patch_status(TRANSACTIONS, "first", agency, {"phase": "Posted", "entry": 1})
    return agency


@pytest.mark.parametrize("user", [BOSS, CLUSTER_ADMIN])
def test_posted_transaction_is_not_deleted(plane: Plane, posted: str, user: str) -> None:
    refused(
        plane.as_(user).run("delete", TRANSACTIONS, "first", f"-n={posted}"),
        "transaction first is posted: it is an entry of the ledger, and cannot be deleted",
        f"kubectl clientorg points reverse first -n {posted}",
        "a PointTransaction named first-reversal with spec.kind Reversal",
    )
    refused(plane.as_(user).run("delete", TRANSACTIONS, "--all", f"-n={posted}"), "cannot be deleted")


def test_posted_reversal_is_not_deleted_and_not_reversed(plane: Plane, posted: str) -> None:
    plane.do("create", "-f=-", stdin=transaction("Reversal", namespace=posted))
    plane.patch_status(TRANSACTIONS, "first-reversal", posted, {"phase": "Posted", "entry": 2})

    answer = plane.run("delete", TRANSACTIONS, "first-reversal", f"-n={posted}")

    refused(answer, "make the movement anew, as another transaction")
    assert "-reversal-reversal" not in answer.err


@pytest.mark.parametrize("status", [None, {"phase": "Waiting"}, {"phase": "Rejected"}])
def test_transaction_that_moved_nothing_is_deleted_without_ado(plane: Plane, agency: str, status: Json | None) -> None:
    plane.do("create", "-f=-", stdin=transaction(namespace=agency))
    if status:
        plane.patch_status(TRANSACTIONS, "first", agency, status)

    taken(plane.run("delete", TRANSACTIONS, "first", f"-n={agency}"))


def test_transaction_that_is_being_posted_is_not_deleted(plane: Plane, agency: str) -> None:
    """The pool has committed it; only its own status does not say so yet."""
    plane.do("create", "-f=-", stdin=transaction(namespace=agency))
    made = plane.get(TRANSACTIONS, "first", f"-n={agency}")
    assert made is not None
    plane.do("create", "-f=-", stdin=quota_pool("tokyo", agency, visitors=10))
    entry = {"name": "first", "uid": made["metadata"]["uid"], "entry": 1}
    plane.patch_status("quotapools", "tokyo", agency, {"points": {"balance": 0, "entries": 1, "inFlight": [entry]}})

    def answer() -> Answer | None:
        found = plane.run("delete", TRANSACTIONS, "first", f"-n={agency}", "--dry-run=server")
        return found if found.code else None

    refused(wait_until(answer, 60, "the server to know the pool"), "is being posted", "undo it with a Reversal")
    plane.patch_status("quotapools", "tokyo", agency, {"points": {"inFlight": None}})
    wait_until(
        lambda: plane.run("delete", TRANSACTIONS, "first", f"-n={agency}").code == 0, 60, "the deletion to be taken"
    )


@pytest.mark.parametrize("controller", [NAMESPACE_CONTROLLER, GARBAGE_COLLECTOR, "system:kube-controller-manager"])
def test_clean_up_takes_a_posted_transaction(plane: Plane, posted: str, controller: str) -> None:
    path = f"/apis/clientorg.dev/v1alpha1/namespaces/{posted}/{TRANSACTIONS}/first"
    groups = ["--as-group=system:masters"] if controller == "system:kube-controller-manager" else []

    taken(plane.as_(controller).run("delete", "--raw", path, *groups))
    assert plane.get(TRANSACTIONS, "first", f"-n={posted}") is None


def test_confirmed_agency_goes_with_its_ledger(plane: Plane, posted: str) -> None:
    """The real namespace controller empties the namespace."""
    remove_namespace(plane, posted)


def test_anybody_may_delete_a_transaction_in_an_agency_that_is_being_deleted(plane: Plane, posted: str) -> None:
    finalizers = '-p={"metadata":{"finalizers":["example.com/hold"]}}'
    plane.do("patch", TRANSACTIONS, "first", f"-n={posted}", "--type=merge", finalizers)
    remove_namespace(plane, posted, wait=False)
    until(
        lambda: plane.as_(BOSS).run("delete", TRANSACTIONS, "first", f"-n={posted}", "--wait=false").code == 0,
        "the policies to see the namespace terminating",
    )

    plane.do("patch", TRANSACTIONS, "first", f"-n={posted}", "--type=merge", '-p={"metadata":{"finalizers":null}}')
    until(lambda: plane.get("namespace", posted) is None, "the namespace to be gone")


@pytest.mark.parametrize("user", [BOSS, DISTRIBUTOR, APPROVER])
def test_people_write_no_status(plane: Plane, posted: str, user: str) -> None:
    for what, name in ((TRANSACTIONS, "first"), (APPROVALS, "acme")):
        patch = ["--subresource=status", "--type=merge", '-p={"status":{"phase":"Rejected"}}']
        refused(plane.as_(user).run("patch", what, name, f"-n={posted}", *patch), f'"{what}/status"', "forbidden")


# -- approvals -----------------------------------------------------------------------------------------------------


def test_decision_is_made_in_ones_own_name(plane: Plane, house: str) -> None:
    approver = plane.as_(APPROVER)

    taken(approver.create(approval(APPROVER, house), dry_run=True))
    taken(approver.create(approval(APPROVER, house, decision="Reject", reason="not now"), dry_run=True))
    for by in (BOSS, OWNER, APPROVER.upper(), f"{APPROVER} "):
        refused(
            approver.create(approval(by, house), dry_run=True),
            f"spec.approvedBy: must be {APPROVER}, who makes this decision, and not {by}",
        )


def test_not_even_a_cluster_admin_decides_in_anothers_name(plane: Plane, house: str) -> None:
    refused(plane.create(approval(APPROVER, house), dry_run=True), "nobody decides in another's name")


def test_decision_from_a_backup_takes_the_right_to_restore(plane: Plane, agency: str) -> None:
    """A cluster admin has it, as any right; and says for good that it is one."""
    admit(plane, agency)

    def restored(time: str) -> Json:
        decision = approval(BOSS, agency)
        return {**decision, "metadata": {**decision["metadata"], "annotations": {RESTORED: time}}}

    refused(plane.as_(APPROVER).create(restored(DECIDED), dry_run=True), RESTORED, "the right to `restore` clientorgs")
    refused(plane.create(restored("yesterday"), dry_run=True), RESTORED, "must be the time of the decision")
    taken(plane.create(restored(DECIDED)))
    for change in (f"{RESTORED}=2026-11-03T09:00:00Z", f"{RESTORED}-"):
        refused(plane.run("annotate", APPROVALS, "acme", f"-n={agency}", change, "--overwrite"), RESTORED, "stays")
    taken(plane.run("label", APPROVALS, "acme", f"-n={agency}", "note=hello"))


def test_who_may_not_create_approvals_approves_nothing(plane: Plane, house: str) -> None:
    for user in (BOSS, PORTAL):
        refused(plane.as_(user).create(approval(user, house), dry_run=True), 'cannot create resource "orgapprovals"')


def test_decision_that_was_recorded_may_be_tidied_up(plane: Plane, agency: str) -> None:
    admit(plane, agency)
    plane.as_(APPROVER).do("create", "-f=-", stdin=approval(APPROVER, agency, decision="Reject", reason="not now"))

    taken(plane.as_(APPROVER).run("delete", APPROVALS, "acme", f"-n={agency}"))


# -- who requests a client -----------------------------------------------------------------------------------------


def test_client_is_requested_in_ones_own_name(plane: Plane, house: str) -> None:
    def makes(user: str, requester: str | None, *command: str) -> Answer:
        manifest = client_org(namespace=house, requestedBy=requester)
        return plane.as_(user).run(*(command or ("create",)), "-f=-", "--dry-run=server", stdin=manifest)

    for command in (("create",), ("apply", "--server-side")):
        taken(makes(CLERK, None, *command))
        taken(makes(CLERK, CLERK, *command))
        refused(
            makes(CLERK, BOSS, *command),
            f"spec.requestedBy: must be {CLERK}, who requests the client; to name {BOSS}",
            "`request-for-others` on clientorgs",
        )
        taken(makes(PORTAL, BOSS, *command))


def test_requester_is_judged_when_newly_set(plane: Plane, agency: str) -> None:
    admit(plane, agency)
    plane.do("create", "-f=-", stdin=client_org(namespace=agency))

    def sets(user: str, spec: str) -> Answer:
        return plane.as_(user).run("patch", CLIENTS, "acme", f"-n={agency}", "--type=merge", f'-p={{"spec":{spec}}}')

    refused(sets(CLERK, f'{{"requestedBy":"{BOSS}"}}'), "spec.requestedBy")
    taken(sets(BOSS, f'{{"requestedBy":"{BOSS}"}}'))
    # Somebody else's edit of the client leaves the requester as it is.
    taken(sets(CLERK, '{"contractedUsers":5}'))
    taken(plane.as_(OPERATOR).run("label", CLIENTS, "acme", f"-n={agency}", "clientorg.dev/org-id=7k2m9q4xta"))
