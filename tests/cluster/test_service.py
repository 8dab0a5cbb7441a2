"""The operator as a service: probes, metrics, logs, Events, settings (issue 3, deliverable 5)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client, expect_never
from tests.controlplane.waiting import wait_until
from tests.support.kube import Json
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster


class TestProbesAndMetrics:
    """What supervisors and scrapers ask."""

    def test_running_operator_is_alive_and_ready(self, operator: OperatorProcess) -> None:
        assert (operator.answers("healthz"), operator.answers("readyz")) == (200, 200)

    def test_metrics_tell_of_work_pools_and_requests(self, operator: OperatorProcess, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=100)
        tokyo.ready_client()
        tokyo.client("waiting", licenses={"visitors": 95}).expect_pending(1)

        values = operator.metrics()

        pool = f'license="visitors",namespace="{tokyo.name}",pool="pool"'
        licenses = {
            state: values[f'clientorg_pool_licenses{{{pool},state="{state}"}}']
            for state in ("total", "allocated", "pending")
        }
        assert licenses == {"total": 100, "allocated": 10, "pending": 95}
        assert values['clientorg_reconcile_total{kind="ClientOrg",outcome="success"}'] > 0
        assert values['clientorg_api_requests_total{code="201",method="POST"}'] > 0
        assert values["clientorg_time_to_ready_seconds_count"] > 0
        assert values['clientorg_objects{kind="ClientOrg"}'] >= 2
        assert values["clientorg_synced"] == values["clientorg_leader"] == 1
        assert {"clientorg_workqueue_depth", "process_resident_memory_bytes", "clientorg_events_dropped"} <= set(values)

    def test_metrics_of_a_deleted_pool_disappear(self, operator: OperatorProcess, tokyo: Agency) -> None:
        spare = tokyo.new_pool("spare", visitors=5)
        spare.expect_ready()
        assert any('pool="spare"' in name and tokyo.name in name for name in operator.metrics())

        spare.delete()
        spare.expect_gone()

        wait_until(
            lambda: not any('pool="spare"' in name and tokyo.name in name for name in operator.metrics()),
            30,
            "the metrics of the pool to be gone",
        )


class TestLogs:
    """JSON lines for machines."""

    def test_every_line_is_json_and_a_pass_names_its_object(self, operators: Operators, tokyo: Agency) -> None:
        operator = operators.start()
        acme, beta = (tokyo.client(name, licenses={"visitors": 5000}) for name in ("acme", "beta"))
        acme.expect_pending(1)
        beta.expect_pending(2)
        org_id, uid = acme.org_id, acme.uid
        for client in (acme, beta):
            client.delete_confirmed()
        for client in (acme, beta):
            client.expect_gone()
        operator.stop()

        lines: list[Json] = [json.loads(line) for line in operator.log.read_text().splitlines()]

        assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
        (deleted,) = (line for line in lines if line["message"] == "client deleted" and line["uid"] == uid)
        about = {name: deleted[name] for name in ("kind", "object", "org", "uid", "generation")}
        assert about == {
            "kind": "ClientOrg",
            "object": f"{tokyo.name}/acme",
            "org": org_id,
            "uid": uid,
            "generation": 2,
        }
        ids = [line["reconcile_id"] for line in lines if line["message"] == "client deleted"]
        assert len(set(ids)) == len(ids) > 1  # each pass has an ID of its own

    def test_plain_format_is_for_people(self, operators: Operators) -> None:
        operator = operators.start(log_format="plain", log_level="DEBUG")

        assert not operator.log.read_text().startswith("{")


class TestEvents:
    """Once a transition, also after a restart."""

    @staticmethod
    def reasons(client: Client) -> list[tuple[str, str]]:
        """Type and reason of each Event about the client, in order."""
        return [(event["type"], event["reason"]) for event in client.events()]

    def test_each_transition_is_told_once(self, operators: Operators, tokyo: Agency) -> None:
        operator = operators.start(leader_election=False)
        tokyo.pool.stock(visitors=5)
        acme = tokyo.client()
        acme.expect_pending(1)
        tokyo.pool.stock(visitors=10)
        acme.expect_ready()
        acme.edit(planRef={"name": "none"})
        acme.expect_stalled("PlanNotFound")
        told = [("Warning", "QuotaPending"), ("Normal", "Ready"), ("Warning", "PlanNotFound")]
        wait_until(lambda: self.reasons(acme) == told, 30, "the Events")
        assert "5 visitors" in acme.events()[0]["note"]

        operator.kill()
        operators.start(leader_election=False)
        acme.edit(displayName="Acme Holding")
        acme.expect(lambda it: it["status"]["observedGeneration"] == it["metadata"]["generation"], "be looked at")
        acme.edit(planRef={"name": "standard"})
        acme.expect_ready()

        wait_until(lambda: self.reasons(acme) == [*told, ("Normal", "Ready")], 30, "one Event more")

    def test_ready_client_is_told_of_once(self, operator: OperatorProcess, tokyo: Agency) -> None:
        acme = tokyo.ready_client()
        wait_until(lambda: self.reasons(acme) == [("Normal", "Ready")], 30, "the Event")

        acme.edit(tags=["vip"])
        acme.expect_ready()
        acme.ask_for_reconcile()
        acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "answer")

        expect_never(lambda: len(self.reasons(acme)) > 1, 1, "another Event")
        (event,) = acme.events()
        assert event["reportingController"] == "clientorg.dev/operator"
        assert event["regarding"]["kind"] == "ClientOrg"


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


class TestSettings:
    """A wrong setting ends the process at once, with one line that says what to do."""

    @staticmethod
    def last_words(operator: OperatorProcess, code: int) -> str:
        """Start it; it ends with this status and exactly one line, which is returned."""
        operator.start(wait_ready=False)
        assert operator.wait_exit(60) == code, operator.tail()
        lines = operator.log.read_text().splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    @pytest.mark.parametrize(
        ("setting", "value", "words"),
        [
            ("log_level", "LOUD", ["--log-level", "'DEBUG'", "'INFO'"]),
            ("concurrency", "many", ["--concurrency", "integer"]),
            ("lease_seconds", "-1", ["--lease-seconds", "greater than 0"]),
        ],
    )
    def test_wrong_value_is_named(self, operators: Operators, setting: str, value: str, words: list[str]) -> None:
        line = self.last_words(operators.new(**{setting: value}), code=2)

        assert all(word in line for word in words), line

    def test_lease_that_runs_out_before_it_is_renewed_is_refused(self, operators: Operators) -> None:
        """Two leaders at once would be the rule."""
        operator = operators.new(lease_seconds=5, renew_deadline_seconds=10)

        line = self.last_words(operator, code=2)

        assert "renew" in line
        assert "lease" in line

    @pytest.mark.parametrize("which", ["health_address", "metrics_address"])
    def test_taken_port_is_named(self, operators: Operators, taken_port: int, which: str) -> None:
        line = self.last_words(operators.new(**{which: f"127.0.0.1:{taken_port}"}), code=2)

        assert f"cannot listen on 127.0.0.1:{taken_port}" in line
        assert "choose another port" in line

    def test_address_that_is_none_is_named(self, operators: Operators) -> None:
        line = self.last_words(operators.new(health_address="somewhere"), code=2)

        assert "'somewhere'" in line
        assert "host:port" in line

    def test_no_kubeconfig_is_said(self, operators: Operators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))

        line = self.last_words(operators.new(kubeconfig=""), code=2)

        assert "no kubeconfig and not in a cluster" in line
        assert "KUBECONFIG" in line

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, "no such kubeconfig"),
            ("nonsense: [", "cannot read the credentials"),
            ("{}", "cannot read the credentials"),
        ],
    )
    def test_unusable_kubeconfig_is_said(
        self, operators: Operators, tmp_path: Path, content: str | None, words: str
    ) -> None:
        path = tmp_path / "kubeconfig"
        if content is not None:
            path.write_text(content)

        line = self.last_words(operators.new(kubeconfig=path), code=2)

        assert words in line
        assert "--kubeconfig" in line
