"""Weekly snapshots: due on Sundays, kept in columns for 13 weeks, gaps told and never filled."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.metric import Metric, MetricKind
from clientorg.api.trends import Trends
from clientorg.domain import metrics, snapshots
from clientorg.domain.snapshots import LicenseSample, MetricSample, Sample

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
SUNDAY = date(2026, 11, 29)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def counter(**sources: int) -> MetricSample:
    return MetricSample(MetricKind.COUNTER, sources, next(iter(sources)))


def week(number: int) -> date:
    return SUNDAY + timedelta(days=7 * number)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-28T23:59:59", None),
        ("2026-11-29T00:00:00", SUNDAY),
        ("2026-11-29T23:59:59", SUNDAY),
        ("2026-11-30T00:00:00", None),  # missed
    ],
)
def test_a_snapshot_is_due_on_sunday_and_only_then(now: str, due: date | None) -> None:
    assert snapshots.due(None, CREATED, at(now)) == due


def test_it_is_taken_once_also_by_a_clock_that_is_set_back() -> None:
    taken = snapshots.take(None, SUNDAY, Sample())
    assert snapshots.due(taken, CREATED, at("2026-11-29T12:00:00")) is None
    assert snapshots.due(taken, CREATED, at("2026-11-22T12:00:00")) is None
    assert snapshots.due(taken, CREATED, at("2026-12-06T00:00:00")) == week(1)


def test_a_client_of_that_very_sunday_has_none_yet() -> None:
    assert snapshots.due(None, at("2026-11-29T08:00:00"), at("2026-11-29T09:00:00")) is None
    assert snapshots.due(None, at("2027-05-01T08:00:00"), at("2026-11-29T09:00:00")) == SUNDAY  # a stepped clock


def test_columns_stay_aligned_when_licenses_and_reports_come_and_go() -> None:
    trends = snapshots.take(None, week(0), Sample({"visitors": LicenseSample(10)}))
    trends = snapshots.take(
        trends, week(1), Sample({"visitors": LicenseSample(10, 4, 3, 3), "seats": LicenseSample(5)})
    )
    trends = snapshots.take(trends, week(3), Sample({"seats": LicenseSample(6)}))

    assert trends == {
        "weeks": ["2026-11-29", "2026-12-06", "2026-12-20"],
        "licenses": [
            {"name": "seats", "allocated": [None, 5, 6]},
            {
                "name": "visitors",
                "allocated": [10, 10, None],
                "assigned": [None, 4, None],
                "used": [None, 3, None],
                "counted": [None, 3, None],
            },
        ],
    }
    assert snapshots.missed(snapshots.read(trends).weeks, at("2026-11-20"), at("2026-12-21T00:00:00")) == (
        date(2026, 11, 22),
        date(2026, 12, 13),
    )


def test_the_running_sunday_is_not_missed_yet() -> None:
    assert snapshots.missed([], at("2026-11-20"), at("2026-11-29T10:00:00")) == (date(2026, 11, 22),)


def test_what_is_older_than_thirteen_weeks_goes_and_a_license_with_it() -> None:
    trends = snapshots.take(None, week(0), Sample({"old": LicenseSample(1), "visitors": LicenseSample(10)}))
    for number in range(1, 14):
        trends = snapshots.take(trends, week(number), Sample({"visitors": LicenseSample(10 + number)}))

    assert len(trends["weeks"]) == 13
    assert trends["weeks"][0] == week(1).isoformat()
    assert [item["name"] for item in trends["licenses"]] == ["visitors"]
    assert trends["licenses"][0]["allocated"] == list(range(11, 24))


def test_a_gauge_is_what_was_said_last_and_a_counter_what_all_sources_counted() -> None:
    gauge = MetricSample(MetricKind.GAUGE, {"a": 7, "b": 3}, "b")
    trends = snapshots.take(None, week(0), Sample(metrics={"calls": counter(a=100, b=5), "load": gauge}))
    trends = snapshots.take(trends, week(1), Sample(metrics={"calls": counter(a=20, b=9)}))  # a was reset
    calls, load = trends["metrics"]

    assert calls == {
        "name": "calls",
        "values": [105, 129],
        "sources": [{"source": "a", "value": 20}, {"source": "b", "value": 9}],
    }
    assert load == {"name": "load", "values": [3, None]}


DECLARED = {
    name: Metric(name=name, unit="%" if name == "rate" else "n", kind=kind, **more)
    for name, kind, more in (
        ("calls", MetricKind.COUNTER, {}),
        ("lost", MetricKind.COUNTER, {}),
        ("load", MetricKind.GAUGE, {}),
        ("rate", MetricKind.RATIO, {"numerator": "lost", "denominator": "calls"}),
    )
}


def test_a_ratio_is_of_the_week_and_unknown_where_a_part_is() -> None:
    trends: dict[str, Any] | None = None
    for number, (calls, lost) in enumerate([(100, 10), (300, 20), (300, 20)]):
        trends = snapshots.take(
            trends, week(number), Sample(metrics={"calls": counter(a=calls), "lost": counter(a=lost)})
        )
    trends = snapshots.take(trends, week(4), Sample(metrics={"calls": counter(a=400), "lost": counter(a=30)}))
    series = snapshots.read(trends)

    def value(name: str, number: int) -> Decimal | None:
        return metrics.weekly(DECLARED[name], DECLARED, series, week(number))

    assert [value("calls", number) for number in range(5)] == [None, 200, 0, None, None]
    assert [value("rate", number) for number in range(5)] == [
        None,
        5,
        None,
        None,
        None,
    ]  # nothing is divided by nothing


some = st.none() | st.integers(0, 1000)
samples = st.dictionaries(
    st.sampled_from(["visitors", "seats"]), st.builds(LicenseSample, st.integers(0, 1000), some, some, some)
)
readings = st.dictionaries(st.sampled_from("ab"), st.integers(0, 1000), min_size=1).map(
    lambda found: MetricSample(MetricKind.COUNTER, found, next(iter(found)))
)


@given(
    st.lists(st.tuples(st.integers(1, 4), samples, st.dictionaries(st.sampled_from(["calls"]), readings)), max_size=30)
)
def test_every_column_has_a_value_for_every_week_and_counters_only_grow(
    steps: list[tuple[int, dict[str, LicenseSample], dict[str, MetricSample]]],
) -> None:
    trends: dict[str, Any] = {"weeks": []}
    day = SUNDAY
    for weeks, licenses, product in steps:
        day += timedelta(days=7 * weeks)
        trends = snapshots.take(trends, day, Sample(licenses, product))
        Trends.model_validate(trends)
        assert trends["weeks"][-1] == day.isoformat()
        assert date.fromisoformat(trends["weeks"][0]) > day - timedelta(days=7 * 13)
        columns = [
            column for item in trends.get("licenses", ()) for column in item.values() if isinstance(column, list)
        ]
        columns += [item["values"] for item in trends.get("metrics", ())]
        assert {len(column) for column in columns} <= {len(trends["weeks"])}
        for item in trends.get("metrics", ()):
            known = [value for value in item["values"] if value is not None]
            assert known == sorted(known)
