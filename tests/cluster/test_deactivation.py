"""Deactivation, grace, reminders, purge and the way back (FEATURES Z7-Z9; DESIGN rules 6-8), on the stepped clock.

The plan sends nothing here: Events and status are the notice. Mails are in test_notifications.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import pytest

from clientorg.cluster.resources import CONFIG_MAPS, NAMESPACES, RESOURCE_QUOTAS
from clientorg.domain.timestamps import rfc3339
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client, Json, Plan, condition_of, expect_never, messages_of
from tests.controlplane.waiting import wait_until
from tests.support.devclock import START, DevClock
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

PURGE: Final = datetime(2027, 2, 25, 9, 0, tzinfo=UTC)
"""Three calendar months after the stories begin."""


def sent(manifest: Json) -> list[int]:
    """Days of the reminders that were sent, in the order they were."""
    record = manifest["status"]["deactivation"]
    return [item["days"] for item in record.get("remindersSent", []) if not item.get("skipped")]


def expect_sent(client: Client, *days: int) -> Json:
    """Wait until exactly these reminders were sent, each as one message of the outbox."""
    manifest = client.expect(lambda it: sent(it) == list(days), f"have sent the reminders {days}")
    assert [int(entry["params"]["days"]) for entry in messages_of(manifest, "reminder")] == list(days)
    return manifest


def deactivate(client: Client) -> Json:
    """Deactivate it, and wait until that is done."""
    client.edit(state="Deactivated")
    return client.expect_state("Deactivated")


def expect_purged(client: Client) -> Json:
    """Wait until it is a tombstone; what was its workspace is gone."""
    namespace = client.workspace
    manifest = client.expect(lambda it: it["status"]["state"] == "Purged", "be purged", 60)
    assert client.kube.find(NAMESPACES, namespace) is None
    return manifest


def put_data(client: Client, **metadata: Any) -> None:
    """Something of the client's own, which only a purge deletes."""
    metadata |= {"name": "data", "namespace": client.workspace}
    client.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def expect_purge_to_begin(client: Client) -> None:
    """Wait until everything is being deleted. That it also ends, which takes Kubernetes seconds, is shown elsewhere."""
    client.expect(lambda it: "purgeStartedTime" in it["status"]["deactivation"], "be purged")


def live_through(clock: DevClock, client: Client, moments: Sequence[datetime]) -> None:
    """Step the clock to each of these, and let the operator answer."""
    for moment in moments:
        clock.set(moment)
        client.expect(partial(_answered, moment), f"have lived through {moment}")


def _answered(moment: datetime, manifest: Json) -> bool:
    due = [days for days in (30, 14, 7, 1) if PURGE - timedelta(days=days) <= moment]
    return sent(manifest) == due


def test_three_months_of_a_deactivated_client(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})
    tokyo.report(acme.org_id, clock.now, visitors=30)
    acme.expect_used(visitors=30)
    acme.kube.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data", "namespace": acme.workspace}}
    )

    manifest = deactivate(acme)

    assert manifest["status"]["deactivation"] == {"since": rfc3339(START), "purgeAfter": rfc3339(PURGE)}
    assert "2027-02-25T09:00:00Z" in condition_of(manifest, "Ready")["message"]
    assert acme.granted == {"visitors": 30}, "what is used stays"
    tokyo.pool.expect_allocated(visitors=30)
    assert acme.has(RESOURCE_QUOTAS, "clientorg-paused")
    assert acme.has(CONFIG_MAPS, "data")

    clock.set(PURGE - timedelta(days=30, seconds=1))
    acme.ask_for_reconcile("before")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "before", "have looked")
    expect_sent(acme)
    live_through(clock, acme, [PURGE - timedelta(days=days) for days in (30, 14, 7, 1)])
    expect_sent(acme, 30, 14, 7, 1)
    clock.set(PURGE - timedelta(seconds=1))
    acme.ask_for_reconcile("just before")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "just before", "have looked")
    assert acme.has(CONFIG_MAPS, "data")

    clock.set(PURGE)

    manifest = expect_purged(acme)
    expect_sent(acme, 30, 14, 7, 1)
    assert condition_of(manifest, "Ready")["status"] == "True"
    assert manifest["status"]["deactivation"]["purgedTime"] == rfc3339(PURGE)
    assert granted_total(tokyo) == 0
    assert len(messages_of(manifest, "purged")) == 1
    acme.edit(state="Active")
    acme.expect_stalled("AlreadyPurged", "cannot be brought back")
    assert acme.kube.find(NAMESPACES, acme.workspace) is None
    acme.delete_confirmed()
    acme.expect_gone()


def granted_total(agency: Agency) -> int:
    """What the clients of an agency hold, once the books agree."""
    return agency.expect_balanced()


def test_reactivated_client_has_everything_back(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})
    acme.kube.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data", "namespace": acme.workspace}}
    )
    deactivate(acme)
    tokyo.pool.expect_allocated(visitors=0)
    clock.set(PURGE - timedelta(days=7))
    expect_sent(acme, 7)

    acme.edit(state="Active")

    manifest = acme.expect_state("Active")
    assert "deactivation" not in manifest["status"]
    assert acme.granted == {"visitors": 100}
    assert acme.has(CONFIG_MAPS, "data")
    acme.expect_no_child(RESOURCE_QUOTAS, "clientorg-paused")
    assert len(messages_of(manifest, "reactivated")) == 1
    clock.set(PURGE + timedelta(days=1))
    acme.ask_for_reconcile()
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "have looked")
    acme.expect_state("Active")

    again = deactivate(acme)["status"]["deactivation"]
    assert again["purgeAfter"] == "2027-05-26T09:00:00Z", "three months anew"
    assert "remindersSent" not in again


def test_reactivated_client_waits_for_licenses_that_others_have_now(tokyo: Agency, clock: DevClock) -> None:
    tokyo.pool.stock(visitors=100)
    acme = tokyo.ready_client(licenses={"visitors": 100})
    deactivate(acme)
    beta = tokyo.ready_client("beta", licenses={"visitors": 60})
    clock.set(PURGE - timedelta(days=1))
    expect_sent(acme, 1)

    acme.edit(state="Active")

    acme.expect_pending(1, "60 visitors")
    acme.expect_condition("Ready", "False", "QuotaPending")
    acme.expect_message("waiting", licenses="visitors=0/100")
    assert acme.has(RESOURCE_QUOTAS, "clientorg-paused"), "nothing runs without licenses"
    clock.set(PURGE + timedelta(days=400))
    expect_never(lambda: acme.status["state"] in ("Purged", "Deactivated"), 1.5, "a purge of a client that waits")
    beta.ask_for(visitors=0)

    acme.expect_state("Active")
    acme.expect_granted(visitors=100)


def test_late_last_reminder_moves_the_purge(tokyo: Agency, clock: DevClock) -> None:
    tokyo.plan.edit(deactivation={"minimumNoticeDays": 3})
    acme = tokyo.ready_client()
    deactivate(acme)

    clock.set(PURGE + timedelta(days=10))

    manifest = expect_sent(acme, 1)
    record = manifest["status"]["deactivation"]
    assert [item["days"] for item in record["remindersSent"] if item.get("skipped")] == [30, 14, 7]
    notice_ends = rfc3339(PURGE + timedelta(days=13))
    assert record["purgeAfter"] == notice_ends
    assert messages_of(manifest, "reminder")[0]["params"]["purgeAfter"] == notice_ends
    clock.set(PURGE + timedelta(days=13, seconds=-1))
    expect_never(lambda: acme.status["state"] == "Purged", 1.5, "a purge before the notice has passed")
    clock.set(PURGE + timedelta(days=13))
    expect_purge_to_begin(acme)


def test_plan_edit_moves_announced_dates_later_and_never_earlier(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client()
    deactivate(acme)

    tokyo.plan.edit(deactivation={"gracePeriodMonths": 1})
    acme.ask_for_reconcile()
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "have looked")
    assert acme.status["deactivation"]["purgeAfter"] == rfc3339(PURGE)
    clock.set(datetime(2026, 12, 26, 9, 0, tzinfo=UTC))
    expect_never(lambda: sent(acme.read()), 1.5, "a reminder for a date that was never announced")

    tokyo.plan.edit(deactivation={"gracePeriodMonths": 6})
    acme.expect(lambda it: it["status"]["deactivation"]["purgeAfter"] == "2027-05-25T09:00:00Z", "have half a year")
    tokyo.plan.edit(deactivation={"gracePeriodMonths": 1, "reminderDays": [300]})
    acme.ask_for_reconcile("again")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "again", "have looked")
    assert acme.status["deactivation"]["purgeAfter"] == "2027-05-25T09:00:00Z"
    assert acme.has(CONFIG_MAPS, "portal")


def test_purges_are_braked(operators_of_session: Operators, tokyo: Agency, osaka: Agency, clock: DevClock) -> None:
    operators_of_session.stop_all()
    operators_of_session.start(dev_clock=clock.path, allow_loopback=True, leader_election=False, purges_per_hour=2)
    clients = tokyo.clients(4)
    other = osaka.ready_client()
    tokyo.expect_all_ready(clients)
    for client in (*clients, other):
        deactivate(client)
    clock.set(PURGE - timedelta(days=1))
    for client in (*clients, other):
        expect_sent(client, 1)

    clock.set(PURGE)

    wait_until(lambda: purges(tokyo) == 2, 30, "the first two purges")
    expect_purge_to_begin(other)  # its agency has not purged anybody
    waiting = [item for item in tokyo.list_clients() if item["status"]["state"] == "Deactivated"]
    wait_until(
        lambda: all(
            condition_of(it, "Ready")["reason"] == "PurgeBraked" for it in tokyo.list_clients() if it in waiting
        ),
        10,
        "the others to say why they wait",
    )
    clock.step(hours=1, seconds=-1)
    expect_never(lambda: purges(tokyo) > 2, 1.5, "a third purge within the hour")
    clock.step(seconds=2)
    wait_until(lambda: purges(tokyo) == 4, 30, "the other two")


def purges(agency: Agency) -> int:
    """How many purges have begun."""
    return sum("purgeStartedTime" in item["status"]["deactivation"] for item in agency.list_clients())


def reasons(agency: Agency) -> Counter[str]:
    """How many clients are Ready, or not, for each reason."""
    return Counter(condition_of(item, "Ready")["reason"] for item in agency.list_clients())


def test_paused_client_that_is_deactivated_and_reactivated_is_paused_as_before(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 10})
    tokyo.report(acme.org_id, clock.now, visitors=10)
    acme.expect_state("Paused", "QuotaExhausted")
    deactivate(acme)
    assert "pauseReasons" not in acme.status

    acme.edit(state="Active")

    acme.expect_state("Paused", "QuotaExhausted")
    assert "deactivation" not in acme.status


def test_purge_begins_once_and_is_finished_after_a_crash(
    tokyo: Agency, clock: DevClock, clockwork: OperatorProcess
) -> None:
    acme = tokyo.ready_client()
    put_data(acme, finalizers=["example.com/hold"])
    deactivate(acme)
    clock.set(PURGE - timedelta(days=1))
    expect_sent(acme, 1)
    clock.set(PURGE)
    acme.expect_condition("Ready", "False", "Purging", "example.com/hold")

    clockwork.kill()
    acme.edit(state="Active")  # too late
    clockwork.start()

    acme.expect(lambda it: it["status"]["observedGeneration"] == it["metadata"]["generation"], "have seen the wish")
    assert acme.status["deactivation"]["purgeStartedTime"] == rfc3339(PURGE)
    acme.kube.merge(CONFIG_MAPS, "data", {"metadata": {"finalizers": None}}, acme.workspace)
    acme.expect_stalled("AlreadyPurged")
    assert acme.kube.find(NAMESPACES, acme.workspace) is None
    acme.edit(state="Deactivated")
    acme.expect_ready()


def test_plan_that_is_wrong_or_gone_leaves_stopped_clients_as_they_are(tokyo: Agency, clock: DevClock) -> None:
    tokyo.new_plan("special")
    gone, full = (tokyo.ready_client(name, plan="special", licenses={"visitors": 10}) for name in ("gone", "full"))
    tokyo.report(full.org_id, clock.now, visitors=10)
    full.expect_state("Paused", "QuotaExhausted")
    deactivate(gone)
    plan = Plan(tokyo.kube, tokyo.name, "special")

    plan.edit(timeZone="Asia/Tokio")

    for client in (gone, full):
        client.expect_stalled("PlanInvalid", "Asia/Tokio")
    plan.delete()
    for client in (gone, full):
        client.expect_stalled("PlanNotFound", "special")
    assert gone.status["state"] == "Deactivated"
    assert (full.status["state"], full.status["pauseReasons"]) == ("Paused", ["QuotaExhausted"])
    clock.set(PURGE + timedelta(days=400))
    gone.ask_for_reconcile()
    gone.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "have looked")
    assert gone.has(CONFIG_MAPS, "portal"), "nothing is purged without terms"
    clock.set(START)

    tokyo.new_plan("special")

    full.expect_state("Paused", "QuotaExhausted")
    gone.expect_state("Deactivated")
    assert len(messages_of(full.read(), "paused")) == 1
    assert len(messages_of(gone.read(), "deactivated")) == 1
    assert gone.status["deactivation"]["purgeAfter"] == rfc3339(PURGE)
