"""Usage from a real Prometheus server that scrapes a real exporter: one query for all clients of a pool (issue 4)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cluster.verbs import Agency
from tests.support.debian import PackageUnavailableError
from tests.support.devclock import DevClock
from tests.support.process import OperatorProcess
from tests.support.prometheus import Exporter, PrometheusServer, find_prometheus

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

QUERY: Final = "sum by (org_id, license) (used_total)"
INTERVAL_SECONDS: Final = 5
"""The shortest that a pool may have."""


@pytest.fixture(scope="module")
def program() -> Path:
    """Prometheus itself."""
    try:
        return find_prometheus()
    except PackageUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def server(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exporter, PrometheusServer]]:
    """A server and its exporter, shared by the tests of this module."""
    with (
        Exporter() as exporter,
        PrometheusServer(program, tmp_path_factory.mktemp("prometheus"), exporter) as prometheus,
    ):
        yield exporter, prometheus


@pytest.fixture
def exporter(server: tuple[Exporter, PrometheusServer]) -> Exporter:
    """What is scraped."""
    return server[0]


@pytest.fixture
def prometheus(server: tuple[Exporter, PrometheusServer]) -> PrometheusServer:
    """The server, running."""
    return server[1]


@pytest.fixture
def measure(tokyo: Agency, exporter: Exporter, prometheus: PrometheusServer) -> Callable[..., None]:
    """Has the exporter say something, and the pool ask for it once it was scraped."""
    numbers = iter(range(1, 1000))

    def measure(*counts: tuple[str, float], query: str = QUERY, **usage: Any) -> None:
        exporter.say(*counts)
        prometheus.expect_scraped()
        ask(tokyo, prometheus, query=f"{query} # {next(numbers)}", **usage)

    return measure


def ask(agency: Agency, prometheus: PrometheusServer, query: str = QUERY, **usage: Any) -> None:
    """Have the agency's pool ask; another query than before is asked at once."""
    source = {"url": prometheus.url, "query": query, "intervalSeconds": INTERVAL_SECONDS} | usage
    agency.pool.edit(usage={"prometheus": source})


def expect_source(agency: Agency, status: str, *words: str) -> None:
    """Wait until the pool says how its source does."""
    agency.pool.expect_condition("UsageSourceReady", status, "Queried" if status == "True" else "QueryFailed", *words)


def test_one_query_counts_for_all_clients_and_is_asked_again(
    tokyo: Agency, exporter: Exporter, clock: DevClock, measure: Callable[..., None]
) -> None:
    acme, beta = (tokyo.ready_client(name, licenses={"visitors": 100}) for name in ("acme", "beta"))

    measure((acme.org_id, 30), (beta.org_id, 40.9))

    acme.expect_used(visitors=30)
    beta.expect_used(visitors=40)
    expect_source(tokyo, "True", "usage of 2 clients")
    acme.expect_condition("UsageReported", "True", "Fresh")

    clock.step(seconds=10)
    exporter.say((acme.org_id, 100), (beta.org_id, 41))  # nobody asks for it: the interval has to pass
    acme.expect_state("Paused", "QuotaExhausted")
    beta.expect_used(visitors=41)

    clock.step(seconds=10)
    measure((acme.org_id, 5), (beta.org_id, 41))  # the exporter was restarted
    acme.expect_used(visitors=105)
    beta.expect_state("Active")


def test_error_of_the_query_is_told_and_its_correction_counts_at_once(
    tokyo: Agency, prometheus: PrometheusServer, measure: Callable[..., None]
) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})
    ask(tokyo, prometheus, query="sum by (org_id (used_total)", intervalSeconds=86400)
    expect_source(tokyo, "False", "spec.usage.prometheus.query", "parse error")
    ask(tokyo, prometheus, query="used_total[5m]", intervalSeconds=86400)
    expect_source(tokyo, "False", "not a vector", "matrix")
    tokyo.pool.edit(usage={"prometheus": {"url": f"{prometheus.url}/nowhere"}})
    expect_source(tokyo, "False", "answers 404")
    assert acme.used == {}

    measure((acme.org_id, 30))

    acme.expect_used(visitors=30)
    expect_source(tokyo, "True")
    tokyo.pool.edit(usage={"prometheus": None})
    tokyo.pool.expect(
        lambda it: all(item["type"] != "UsageSourceReady" for item in it["status"]["conditions"]), "have no source"
    )
    assert acme.used == {"visitors": 30}


def test_what_cannot_be_counted_is_left_out_by_itself_and_named(
    tokyo: Agency, osaka: Agency, exporter: Exporter, prometheus: PrometheusServer
) -> None:
    good, twice, odd = (tokyo.ready_client(name, licenses={"visitors": 100}) for name in ("good", "twice", "odd"))
    stranger = osaka.ready_client("stranger", licenses={"visitors": 100})
    exporter.lines = [
        f'used_total{{org_id="{good.org_id}",license="visitors"}} 30',
        f'used_total{{org_id="{good.org_id}",license="apples"}} 99',
        f'used_total{{org_id="{twice.org_id}",license="visitors",zone="a"}} 100',
        f'used_total{{org_id="{twice.org_id}",license="visitors",zone="b"}} 200',
        f'used_total{{org_id="{odd.org_id}",license="visitors"}} -5',
        f'used_total{{org_id="{stranger.org_id}",license="visitors"}} 100',
        'used_total{license="visitors"} 100',
    ]
    prometheus.expect_scraped()

    ask(tokyo, prometheus, query="used_total")

    good.expect_used(visitors=30)
    expect_source(
        tokyo,
        "True",
        "usage of 1 clients",
        "'apples' is none of the pool's",
        f"{twice.org_id}: visitors is there twice",
        f"{odd.org_id}: visitors is no count",
        "without the label org_id",
        "1 Org IDs are none of this agency's",
    )
    assert (twice.used, odd.used, stranger.used) == ({}, {}, {})


def test_long_answer_is_read_to_its_end(tokyo: Agency, measure: Callable[..., None]) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})

    measure(*((f"{number:010d}", 1) for number in range(10_000)), (acme.org_id, 30))

    acme.expect_used(visitors=30)
    expect_source(tokyo, "True", "usage of 1 clients", "10000 Org IDs are none of this agency's")


def test_nobody_is_paused_or_resumed_while_prometheus_is_down(
    tokyo: Agency, exporter: Exporter, prometheus: PrometheusServer, clock: DevClock, measure: Callable[..., None]
) -> None:
    acme, full = (tokyo.ready_client(name, licenses={"visitors": 100}) for name in ("acme", "full"))
    measure((acme.org_id, 30), (full.org_id, 100))
    full.expect_state("Paused", "QuotaExhausted")
    acme.expect_used(visitors=30)

    prometheus.stop()
    expect_source(tokyo, "False", "spec.usage.prometheus.url", "no answer", "asked again")
    clock.step(days=1, seconds=1)

    for client in (acme, full):
        client.expect_condition("UsageReported", "False", "Stale", "UsageSourceReady")
    acme.expect_state("Active")
    full.expect_state("Paused", "QuotaExhausted")
    prometheus.start()

    expect_source(tokyo, "True")
    for client in (acme, full):  # the same counts as before, but somebody says so
        client.expect_condition("UsageReported", "True", "Fresh")
    acme.expect_used(visitors=30)

    prometheus.expect_scraped()
    exporter.lines = []  # the agents are gone, and the server knows of nobody
    prometheus.expect_scraped()
    expect_source(tokyo, "True", "usage of 0 clients")
    acme.expect_state("Active")
    full.expect_state("Paused", "QuotaExhausted")
    assert acme.used == {"visitors": 30}


def test_restart_of_the_operator_counts_nothing_twice(
    tokyo: Agency, clockwork: OperatorProcess, measure: Callable[..., None], clock: DevClock
) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})
    measure((acme.org_id, 30))
    acme.expect_used(visitors=30)

    clockwork.kill()
    clock.step(seconds=10)
    clockwork.start()

    measure((acme.org_id, 35))
    acme.expect_used(visitors=35)


def test_servers_are_asked_in_turn_whatever_one_of_them_does(
    tokyo: Agency, osaka: Agency, exporter: Exporter, prometheus: PrometheusServer
) -> None:
    """One agency's server takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        ask(osaka, prometheus, url=f"http://127.0.0.1:{port}")
        silent.settimeout(20)
        connection, _ = silent.accept()
        with connection:
            acme = tokyo.ready_client(licenses={"visitors": 100})
            exporter.say((acme.org_id, 30))
            prometheus.expect_scraped()
            ask(tokyo, prometheus)
            acme.expect(lambda it: it["status"]["licenses"][0].get("used") == 30, "have used 30", 15)
