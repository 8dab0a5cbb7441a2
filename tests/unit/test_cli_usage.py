"""What clients use, as rows, pages and data (FEATURES Z5, Z6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.cli.dates import Calendar
from clientorg.cli.usage import page
from clientorg.cli.usagerows import CSV_HEADER, ClientUse, by_org_id, by_use, client_use, csv_rows, document
from tests.unit.cli_builders import client, granted, pool

Json = dict[str, Any]

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


def meter(source: str = "agent", license: str = "visitors", value: int = 480, observed: str = "08:00") -> Json:
    """A meter in status.meters."""
    time = f"2026-11-25T{observed}:00Z"
    return {"source": source, "license": license, "value": value, "total": value, "observedTime": time}


def report(name: str = "r", observed: str = "08:59", org_id: str = "7k2m9q4xta", **fields: Any) -> Json:
    """A UsageReport."""
    spec = {"orgID": org_id, "observedTime": f"2026-11-25T{observed}:00Z", "meters": [{"license": "visitors"}]}
    return {"metadata": {"name": name, "namespace": "agency"}, "spec": spec | fields.pop("spec", {}), **fields}


def use(*reports: Json, stock: Json | None = None, name: str = "acme", used: int = 480, **status: Any) -> ClientUse:
    """The use of a client that was granted 500 visitors."""
    item = client(name, status={**granted(visitors=500, used=used), "orgID": "7k2m9q4xta", **status})
    return client_use(item, reports, stock, Calendar(), NOW)


def test_a_license_with_everything() -> None:
    held = {"name": "visitors", "granted": 500, "used": 480, "remaining": 20, "period": "2026-11", "baseline": 7}
    reached = [
        {"license": "visitors", "period": period, "percent": percent, "time": "2026-11-20T00:00:00Z"}
        for period, percent in (("2026-11", 90), ("2026-11", 80), ("2026-10", 100))
    ]
    stock = pool(visitors=1000)
    stock["spec"]["licenses"][0]["usePeriod"] = "Monthly"
    found = use(stock=stock, licenses=[held], thresholds=reached, meters=[meter()])
    (item,) = found.licenses
    assert (item.used, item.granted, item.remaining, item.percent) == (480, 500, 20, 96)
    assert item.period == "2026-11"
    assert item.next_period == datetime(2026, 12, 1, tzinfo=UTC)
    assert [percent for percent, _ in item.thresholds] == [80, 90], "of the running period, lowest first"


def test_a_newer_report_says_how_fresh_an_unchanged_count_is() -> None:
    """Meters are written only when the count changes."""
    reports = [report(), report("other", "09:00", spec={"source": "somebody-else"})]
    found = use(*reports, meters=[meter("default")])
    assert found.reported("visitors") == datetime(2026, 11, 25, 8, 59, tzinfo=UTC)
    assert found.sources[0].text(NOW) == "60s ago"


def test_of_prometheus_only_the_last_change_is_known() -> None:
    found = use(meters=[meter("@prometheus")])
    assert (found.sources[0].source, found.sources[0].text(NOW)) == ("Prometheus", "changed 60m ago")
    assert found.sources_of("visitors") == ["Prometheus"]


def test_reports_that_do_not_count_say_why() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "ObservedInFuture", "message": "the clock is wrong"}
    found = use(report("bad", status={"conditions": [condition]}), report("good"))
    assert found.refused == (("bad", "ObservedInFuture: the clock is wrong"),)


def test_stale_only_while_the_condition_says_so() -> None:
    stale = {"type": "UsageReported", "status": "False", "message": "too long ago"}
    assert use(conditions=[stale]).stale == "too long ago"
    assert use(conditions=[stale | {"status": "True"}]).stale == ""


def test_a_client_nobody_has_seen_has_no_numbers() -> None:
    found = client_use(client(), (), None, Calendar(), NOW)
    assert (found.percent, found.licenses[0].used, found.reported("visitors")) == (None, None, None)
    assert "Nothing was reported yet." in list(page(found, NOW, color=False))
    assert len(next(iter(csv_rows(found)))) == len(CSV_HEADER)


@given(st.lists(st.one_of(st.none(), st.integers(0, 2000))))
def test_the_fullest_come_first_and_those_without_a_report_last(amounts: list[int | None]) -> None:
    """However they come; equal ones stay in the server's order."""
    uses = [
        client_use(
            client(f"c{index}", status=granted(visitors=500, used=amount) if amount is not None else None),
            (),
            None,
            Calendar(),
            NOW,
        )
        for index, amount in enumerate(amounts)
    ]
    ordered = by_use(uses)
    percents = [-1 if found.percent is None else found.percent for found in ordered]
    assert percents == sorted(percents, reverse=True)
    for percent in set(percents):
        names = [found.name for found, own in zip(ordered, percents, strict=True) if own == percent]
        assert names == sorted(names, key=lambda name: int(name[1:]))


def test_reports_are_sorted_by_whom_they_are_for() -> None:
    reports = [report("a", org_id="1"), report("b", org_id="2"), report("c", org_id="1")]
    found = {org_id: [item["metadata"]["name"] for item in items] for org_id, items in by_org_id(reports).items()}
    assert found == {"1": ["a", "c"], "2": ["b"]}


@pytest.mark.parametrize("value", ["percent", "licenses", "sources", "stale", "refusedReports"])
def test_data_has_every_part_also_when_there_is_nothing(value: str) -> None:
    assert value in document(client_use(client(), (), None, Calendar(), NOW))


def test_a_page_names_the_sources() -> None:
    text = "\n".join(page(use(meters=[meter(), meter("@prometheus", value=3)]), NOW, color=False))
    for words in ("acme (Acme K.K.)  Active", "visitors    480       500          20       96%", "agent", "Prometheus"):
        assert words in text
