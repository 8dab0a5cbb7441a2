"""`kubectl clientorg` and the life of a client: what is said before, done, and told after (FEATURES Z6-Z9, S4).

The operator and the command read the same development clock, so that months pass in a test.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clientorg.cluster.resources import Resource
from tests.cluster._cli_support import DatedCli, home, lines_with, set_clock
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.kube import PODS, Kube
from tests.support.mailserver import MailServer, mail_server

__all__ = ["home"]  # fixture

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
NOVEMBER, NOON = "2026-11-25T09:00:00Z", "2026-11-25T12:00:00Z"
LAST_DAY, FEBRUARY = "2027-02-24T10:00:00Z", "2027-02-25T11:00:00Z"


@pytest.fixture(scope="module")
def clock(operators_of_session: Operators, api: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file with the time; the operator of this module goes by it, and may send to servers on this machine."""
    path = tmp_path_factory.mktemp("clock") / "time"
    set_clock(path, NOVEMBER)
    operators_of_session.stop_all()
    operators_of_session.start(leader_election=False, dev_clock=path, allow_loopback=True)
    yield path
    operators_of_session.stop_all()


@pytest.fixture
def cli(cluster: Cluster, tokyo: Agency, home: Path, clock: Path) -> DatedCli:
    """The command in an agency with 1,000 visitors, as an administrator, on 25 November."""
    set_clock(clock, NOVEMBER)
    return DatedCli(Path(cluster.kubeconfig), tokyo.name, home, clock)


@pytest.fixture
def acme(cli: DatedCli, tokyo: Agency) -> Client:
    """A client with 300 of the visitors."""
    return tokyo.ready_client("acme", licenses={"visitors": 300})


def run_two_pods(client: Client) -> None:
    """A Deployment in the client's workspace, running."""
    container = {"name": "web", "image": "registry.example/web"}
    labels = {"app": "web"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    metadata = {"name": "web", "namespace": client.workspace}
    client.kube.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    expect_pods(client, 2)


def expect_pods(client: Client, count: int) -> None:
    """Wait until so many pods are in the workspace."""
    workspace = client.workspace
    wait_until(lambda: len(client.kube.list_all(PODS, workspace)) == count, 30, f"{count} pods in {workspace}")


def report_use(client: Client, used: int, time: str = NOVEMBER) -> None:
    """The metering agent reports, and the operator counts it."""
    meters = [{"license": "visitors", "value": used}]
    spec = {"orgID": client.org_id, "source": "agent", "observedTime": time, "meters": meters}
    metadata = {"name": f"{client.name}-agent", "namespace": client.namespace}
    path = f"/apis/clientorg.dev/v1alpha1/namespaces/{client.namespace}/usagereports"
    body = {"apiVersion": "clientorg.dev/v1alpha1", "kind": "UsageReport", "metadata": metadata, "spec": spec}
    client.kube.request("POST", path, body)
    client.expect(lambda it: it["status"]["licenses"][0].get("used") == used, f"have used {used}")


def test_a_pause_says_what_stops_and_a_resume_brings_it_back(cli: DatedCli, acme: Client) -> None:
    """Z6: as it was."""
    run_two_pods(acme)
    before = acme.read()
    for dry_run in ("--dry-run", "--dry-run=client"):
        said = cli.do("pause", "acme", dry_run).out
        assert lines_with(said, ["Deployment/web", "2", "made again when the client goes on"])
        assert "acme paused (" in said
    assert acme.read() == before, "a dry run changes nothing"

    cli.do("pause", "acme", "--wait", "--reason", "maintenance")
    expect_pods(acme, 0)
    assert acme.status["pauseReasons"] == ["Requested"]
    described = cli.do("describe", "acme").out
    assert lines_with(described, ["Paused:", "Requested"])
    assert lines_with(described, ["Reason given:", "maintenance"])
    assert "spec.state is Paused already" in cli.do("pause", "acme").out

    cli.is_now(NOON)
    cli.do("resume", "acme", "--wait")
    expect_pods(acme, 2)
    assert acme.status["state"] == "Active"
    told = [(entry["what"], entry["time"]) for entry in cli.data("timeline", "acme")["entries"]]
    assert ("Resumed", NOON) in told


def test_a_resume_of_one_who_has_used_up_all_says_what_helps(cli: DatedCli, acme: Client) -> None:
    """Z6: and doing what it says resumes the client by itself."""
    report_use(acme, 300)
    acme.expect(lambda it: it["status"].get("pauseReasons") == ["QuotaExhausted"], "be paused")
    answer = cli.run("resume", "acme")
    assert answer.code == 2
    assert "not paused by wish" in answer.err
    (advised,) = lines_with(answer.err, ["reallocate acme", "--by +N"])
    words = advised.partition("#")[0].replace("+N", "+100").split()[2:]
    cli.do(*words, "--wait")
    acme.expect(lambda it: it["status"]["state"] == "Active", "run again by itself")

    (found,) = cli.data("usage")["clients"]
    (visitors,) = found["licenses"]
    assert (visitors["used"], visitors["granted"], visitors["remaining"], visitors["percent"]) == (300, 400, 100, 75)
    page = cli.do("usage", "acme").out
    assert lines_with(page, ["agent", "visitors", "300"])
    assert "100" in lines_with(page, ["visitors", "400"])[0]
    assert cli.do("usage", "-o", "csv").out.splitlines()[1].startswith(f"{acme.namespace},acme,")
    reached = [e["detail"] for e in cli.data("timeline", "acme")["entries"] if e["what"] == "ThresholdReached"]
    assert [detail.partition(" ")[0] for detail in reached] == ["80", "90", "100"]


def test_a_deactivation_tells_every_date_and_they_come_true(cli: DatedCli, acme: Client, tokyo: Agency) -> None:
    """Z7-Z9: what the dry run says in November is what happens in February."""
    run_two_pods(acme)
    report_use(acme, 120)
    promised = cli.data("deactivate", "acme", "--dry-run")
    assert promised["changed"] is True
    assert promised["stops"]["pods"] == 2
    assert promised["licenses"] == [{"name": "visitors", "granted": 300, "used": 120, "returned": 180, "kept": 120}]
    assert promised["expectedPurge"] == promised["purgeAfter"] == "2027-02-25T09:00:00Z"
    said = cli.do("deactivate", "acme", "--dry-run").out
    assert lines_with(said, ["2027-02-25 09:00", "everything is deleted"])
    assert "Nobody is reminded by mail or webhook" in said
    assert acme.status["state"] == "Active"

    cli.do("deactivate", "acme", "--wait")
    expect_pods(acme, 0)
    tokyo.pool.expect_allocated(visitors=120)
    record = acme.status["deactivation"]
    assert (record["since"], record["purgeAfter"]) == (promised["since"], promised["purgeAfter"])
    coming = [(e["what"], e["time"]) for e in cli.data("timeline", "acme")["entries"] if e["when"] == "future"]
    assert coming == [*(("Reminder", r["time"]) for r in promised["reminders"]), ("Purge", promised["expectedPurge"])]
    assert cli.run("pause", "acme").code == 2
    assert "reactivate acme" in cli.run("resume", "acme").err

    cli.is_now(LAST_DAY)
    acme.expect(lambda it: "remindersSent" in it["status"]["deactivation"], "be reminded")
    cli.is_now(FEBRUARY)
    acme.expect(lambda it: "purgeStartedTime" in it["status"]["deactivation"], "begin to be purged")
    whats = [entry["what"] for entry in cli.data("timeline", "acme")["entries"]]
    assert whats.index("Deactivated") < whats.index("ReminderDelivered") < whats.index("PurgeStarted")
    late = cli.run("reactivate", "acme")
    assert late.code == 2
    assert "there is no way back" in late.err or "cannot be brought back" in late.err


def test_a_reactivation_says_that_it_waits_and_then_all_is_as_before(
    cli: DatedCli, acme: Client, tokyo: Agency
) -> None:
    """Z8."""
    run_two_pods(acme)
    cli.do("deactivate", "acme", "--wait")
    tokyo.ready_client("globex", licenses={"visitors": 800})
    expected = cli.data("reactivate", "acme", "--dry-run")
    assert expected["licenses"] == [{"name": "visitors", "held": 0, "needed": 300, "available": 200, "short": 100}]
    assert expected["waits"] is True

    answer = cli.run("reactivate", "acme", "--wait=2s")
    assert answer.code == 3
    assert "waits for licenses that the pool does not have" in answer.err
    assert "QuotaPending" in answer.err
    tokyo.pool.stock(visitors=1100)
    cli.do("reactivate", "acme", "--wait")
    expect_pods(acme, 2)
    assert acme.granted == {"visitors": 300}


def test_one_wrong_name_changes_nobody(cli: DatedCli, acme: Client) -> None:
    answer = cli.run("pause", "acme", "nobody", "--yes")
    assert answer.code == 1
    assert "there is no client 'nobody'" in answer.err
    assert acme.read()["spec"].get("state", "Active") == "Active"


def test_several_are_reported_each(cli: DatedCli, acme: Client, tokyo: Agency) -> None:
    tokyo.client("globex", state="Paused")
    whole = cli.data("pause", "acme", "globex", "--dry-run")
    assert [(one["name"], one["changed"]) for one in whole["clients"]] == [("acme", True), ("globex", False)]


def test_what_one_may_not_see_is_said(cli: DatedCli, acme: Client, api: Kube, tmp_path: Path) -> None:
    """W4: the user's rights and no others; who may only change clients still can."""
    run_two_pods(acme)
    clerk = cli.as_(clerk_of(api, acme.namespace, tmp_path / "kubeconfig"))
    said = clerk.do("deactivate", "acme", "--dry-run").out
    assert "not shown, for lack of the right to list them there: pods, jobs and cronjobs" in said
    assert "the plan 'standard' cannot be read" in said
    answer = clerk.do("timeline", "acme")
    assert "Events are not shown" in answer.err
    assert "the plan is not there, or there is no right to read it" in answer.err
    assert "plans, pools and usagereports are not there, or there is no right" in clerk.do("usage").err
    clerk.do("pause", "acme", "--wait")


def clerk_of(api: Kube, namespace: str, path: Path) -> Path:
    """The kubeconfig of somebody who may read and change clients of one namespace, and nothing else."""
    metadata = {"name": "clerk", "namespace": namespace}
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": ["clientorg.dev"], "resources": ["clientorgs"], "verbs": ["get", "list", "watch", "patch"]}
    api.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": metadata})
    api.request("POST", f"{rbac}/roles", {"metadata": metadata, "rules": [rule]})
    binding = {
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "clerk"},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    api.request("POST", f"{rbac}/rolebindings", binding)
    token = api.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/clerk/token", {"spec": {}})
    return api.access.with_token(token["status"]["token"], path)


def test_a_message_is_sent_again(cli: DatedCli, acme: Client, tokyo: Agency) -> None:
    """S4: to the address that was corrected."""
    with mails() as server:
        server.mood.recipients["yuki@acme.example"] = "550 no such user"
        open_mail(tokyo, server.port)
        acme.edit(state="Paused")
        acme.expect_condition("NotificationFailing", "True", "DeliveryFailed")
        assert lines_with(cli.do("notify", "acme").out, ["paused-Requested-", "mail", "Failed", "550"])
        assert cli.run("notify", "acme", "--resend", "paused", "--wait", "--yes").code == 1, "refused again"

        cli.do("edit-contact", "acme", "--email", "sato@acme.example")
        before = acme.expect(is_answered, "have its new contact answered")
        shown = cli.do("notify", "acme", "--resend", "paused", "--dry-run").out
        assert "goes to sato@acme.example by mail again" in shown
        assert acme.read() == before
        cli.do("notify", "acme", "--resend", "paused", "--wait", "--yes")
        assert [mail.recipients for mail in server.received] == [["sato@acme.example"]]
    assert {e["what"] for e in cli.data("timeline", "acme")["entries"]} >= {"Message", "MessageSent"}


def test_a_message_that_is_not_there_is_told_beside_those_that_are(cli: DatedCli, acme: Client, tokyo: Agency) -> None:
    silent = cli.run("notify", "acme", "--resend", "delivery")
    assert (silent.code, "the plan standard sends nothing" in silent.err) == (2, True)
    tokyo.plan.edit(notifications={"fromAddress": "no-reply@sakura.example"})
    answer = cli.run("notify", "acme", "--resend", "birthday")
    assert answer.code == 2
    assert "there is no message 'birthday'; give one of: delivery" in answer.err
    assert cli.run("notify", "acme", "--wait").code == 2


def is_answered(manifest: Json) -> bool:
    """Whether the operator has seen the spec as it is: from then on it writes nothing by itself."""
    return bool(manifest["status"]["observedGeneration"] == manifest["metadata"]["generation"])


def open_mail(agency: Agency, port: int) -> None:
    """Let the agency send mails by a server on this machine."""
    data = {"host": "127.0.0.1", "port": str(port), "security": "none"}
    metadata = {"name": "clientorg-smtp", "namespace": agency.name}
    agency.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    agency.plan.edit(notifications={"fromAddress": "no-reply@sakura.example"})


@contextmanager
def mails() -> Iterator[MailServer]:
    """A mail server on a thread of its own."""
    ready, server, loop = threading.Event(), MailServer(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        nonlocal server
        async with mail_server(login=False) as server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
