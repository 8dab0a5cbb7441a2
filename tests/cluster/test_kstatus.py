"""What Argo CD, Flux and other readers of kstatus see in every state of an object (DESIGN rule 10)."""

from __future__ import annotations

import subprocess

import pytest

from clientorg.cluster.resources import EVENTS
from tests.cluster.history import Follower
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client, condition_of
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support import builders
from tests.support.kstatus import KStatus, kstatus
from tests.support.kube import Json, Kube

pytestmark = pytest.mark.cluster

IN_PROGRESS, CURRENT, FAILED, TERMINATING = (
    KStatus.IN_PROGRESS,
    KStatus.CURRENT,
    KStatus.FAILED,
    KStatus.TERMINATING,
)


def course(follower: Follower, name: str) -> list[KStatus]:
    """What a tool showed of the object, one after the other, without repeats. Each version keeps the contract."""
    shown: list[KStatus] = []
    for _, what, item in follower.events:
        if item["metadata"]["name"] != name or what == "DELETED":
            continue
        status = kstatus(item)
        if not shown or shown[-1] is not status:
            shown.append(status)
    return shown


def test_objects_are_in_progress_before_the_first_pass(operators: Operators, tokyo: Agency) -> None:
    """No operator runs: nothing may be taken for Current that nobody has looked at."""
    acme = tokyo.client()

    for handle in (acme, tokyo.pool, tokyo.plan):
        found = handle.read()
        assert found["status"]["observedGeneration"] == -1
        assert kstatus(found) is IN_PROGRESS

    operators.start(leader_election=False)
    for handle in (acme, tokyo.pool, tokyo.plan):
        handle.expect(lambda it: kstatus(it) is CURRENT, "be Current")


def test_whole_life_of_a_client(operators: Operators, tokyo: Agency, api: Kube) -> None:
    operators.start(leader_election=False)
    tokyo.pool.stock(visitors=5)
    follower = Follower(api, Client.resource, tokyo.name)
    try:
        acme = tokyo.client()
        acme.expect_pending(1)
        assert kstatus(acme.read()) is IN_PROGRESS
        tokyo.pool.stock(visitors=100)
        acme.expect_ready()
        acme.edit(planRef={"name": "none"})
        acme.expect_stalled("PlanNotFound")
        assert kstatus(acme.read()) is FAILED
        acme.edit(planRef={"name": "standard"})
        acme.expect_ready()
        acme.ask_for(visitors=1000)
        acme.expect_pending(1)
        assert kstatus(acme.read()) is IN_PROGRESS
        acme.ask_for(visitors=20)
        acme.expect_ready()
        uid = acme.uid
        acme.delete_confirmed()
        acme.expect(lambda it: kstatus(it) is TERMINATING, "be Terminating")
        acme.expect_gone()
        wait_until(lambda: any(what == "DELETED" for _, what, _ in follower.events), 30, "the watch to catch up")
    finally:
        follower.close()

    told = api.list_all(EVENTS, tokyo.name, fieldSelector=f"regarding.uid={uid}")
    assert sorted(event["reason"] for event in told) == sorted(
        ["QuotaPending", "Ready", "PlanNotFound", "Ready", "QuotaPending", "Ready", "Deleting"]
    )
    assert course(follower, "acme") == [
        IN_PROGRESS,
        CURRENT,
        IN_PROGRESS,  # the edit, not yet looked at
        FAILED,
        IN_PROGRESS,
        CURRENT,
        IN_PROGRESS,
        CURRENT,
        TERMINATING,
    ]


def test_edit_is_never_shown_as_current_before_it_is_carried_out(
    operators: Operators, tokyo: Agency, api: Kube
) -> None:
    operators.start(leader_election=False)
    acme = tokyo.ready_client()
    follower = Follower(api, Client.resource, tokyo.name)
    try:
        for quantity in (20, 5, 30):
            acme.ask_for(visitors=quantity)
            acme.expect_ready()
        wait_until(follower.has_caught_up, 30, "the watch to catch up")
    finally:
        follower.close()

    for _, _, item in follower.events:
        if kstatus(item) is CURRENT:
            (license,) = item["status"]["licenses"]
            assert license["granted"] == item["spec"]["licenses"][0]["quantity"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pool": "none"}, "PoolNotFound"),
        ({"plan": "none"}, "PlanNotFound"),
        ({"licenses": {"seats": 1}}, "LicenseUnknown"),
    ],
)
@pytest.mark.usefixtures("operator")
def test_what_cannot_be_carried_out_has_failed(tokyo: Agency, fields: Json, reason: str) -> None:
    acme = tokyo.client(**fields)

    found = acme.expect(lambda it: kstatus(it) is FAILED, "have failed")

    assert condition_of(found, "Ready")["reason"] == condition_of(found, "Stalled")["reason"] == reason


@pytest.mark.usefixtures("operator")
def test_pool_in_use_that_is_deleted_is_terminating_and_an_over_committed_one_current(tokyo: Agency) -> None:
    acme = tokyo.ready_client()

    tokyo.pool.stock(visitors=5)
    tokyo.pool.expect_condition("OverCommitted", "True", "OverCommitted")
    assert kstatus(tokyo.pool.read()) is CURRENT

    tokyo.pool.delete_confirmed()
    tokyo.pool.expect(lambda it: kstatus(it) is TERMINATING, "be Terminating")
    assert kstatus(acme.read()) is CURRENT


@pytest.mark.usefixtures("operator")
def test_transition_times_move_only_with_the_status_of_a_condition(tokyo: Agency) -> None:
    acme = tokyo.ready_client()
    before = {item["type"]: item["lastTransitionTime"] for item in acme.status["conditions"]}

    acme.edit(tags=["vip"])
    acme.expect_ready()
    acme.ask_for_reconcile()
    found = acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "answer")

    assert {item["type"]: item["lastTransitionTime"] for item in found["status"]["conditions"]} == before
    assert {item["observedGeneration"] for item in found["status"]["conditions"]} == {2}


@pytest.mark.usefixtures("operator")
def test_kubectl_wait_works_as_in_everybodys_scripts(cluster: Cluster, tokyo: Agency) -> None:
    tokyo.create(builders.client(tokyo.name))
    command = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig}", f"-n={tokyo.name}"]

    done = subprocess.run(
        [*command, "wait", "clientorg/acme", "--for=condition=Ready", "--timeout=60s"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["clientorgs", "acme"], ["corg", "acme"], ["clientorg/acme"]])
def test_kubectl_finds_a_client_by_name(cluster: Cluster, tokyo: Agency, words: list[str]) -> None:
    """But not as `clientorg acme`: to kubectl that word is the category, which takes no names."""
    tokyo.client()
    command = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig}", f"-n={tokyo.name}"]

    found = subprocess.run([*command, "get", *words], capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stderr
