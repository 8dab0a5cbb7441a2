"""Rows and KPIs of the portfolio (FEATURES W4, W8-W11, A6): what counts, what is not known, what is never made up."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from clientorg.api.clientorg import ClientStatus
from clientorg.api.subscription import SubscriptionType
from clientorg.errors import InputError
from clientorg.reports.portfolio import Filter, LicenseRow
from clientorg.reports.portfolio_filter import filtered
from clientorg.reports.portfolio_read import Portfolio
from clientorg.reports.portfolio_rows import (
    expiring,
    license_rows,
    low_allocation,
    over_limit,
    recent,
    renewing,
    summary,
)
from clientorg.reports.portfolio_trends import metric_rows, performance_rows, usage_rows
from tests.support.builders import subscription
from tests.unit.portfolios import NOW, build, client, meters, plan, trends

Json = dict[str, Any]


def order(name: str, of: str | None = "acme", **spec: Any) -> Json:
    item = subscription("agency", name, client=of, products=[{"name": "visitors", "licenses": 100}], **spec)
    item["spec"]["order"]["time"] = spec.get("ordered", "2026-01-01T00:00:00Z")
    item["spec"].pop("ordered", None)
    return item


def test_a_row_has_every_column_of_w9() -> None:
    (row,) = license_rows(
        build(
            client(status=meters(910) | trends(*range(100, 880, 60)), admins=[{"name": "y", "role": "Full"}]),
            subscriptions=(order("s1", autoRenew=True),),
        )
    )
    assert (row.client, row.subscription, row.order_id, row.product) == ("acme", "s1", "PO-s1", "visitors")
    assert (row.days_since, row.days_until, row.months_left, row.auto_renew) == (331, 34, 1, True)
    assert (row.total, row.allocated, row.used, row.assigned, row.available) == (100, 100, 40, 60, 40)
    assert (row.assigned_weekly_change, row.used_weekly_change) == (30, 60)
    assert (row.usage_three_months, row.usage_weeks) == (810, 13)  # 910 now, 100 thirteen Sundays ago
    assert (row.runway_months, row.percent, row.over_by) == (0, 60, 0)
    assert row.managed_by == ("y",)


def test_what_is_not_reported_is_not_known() -> None:
    (row,) = license_rows(build(client(licenses={"visitors": (100, None, None)})))
    assert row.total == row.allocated == 100
    unknown = ("used", "assigned", "percent", "usage_three_months", "runway_months", "used_weekly_change", "days_until")
    assert {name: getattr(row, name) for name in unknown} == dict.fromkeys(unknown)


def test_a_missed_week_has_no_change_and_shortens_what_is_covered() -> None:
    (row,) = license_rows(build(client(status=meters(500) | trends(100, 200, None, 400))))
    assert row.used_weekly_change is None
    assert (row.usage_three_months, row.usage_weeks) == (400, 4)
    (new,) = license_rows(build(client(created="2026-11-10T00:00:00Z", status=meters(500))))
    assert (new.usage_three_months, new.usage_weeks) == (500, 3)


def portfolio_of_many() -> Portfolio:
    return build(
        client("expires"),
        client("renews", tags=["vip", "eu"], displayName="Ｒenews KK"),
        client("trial", licenses={"visitors": (100, 120, None)}, reseller={"name": "Sellers"}),
        client("plain", licenses={"visitors": (100, 10, 10), "seats": (5, 5, 5)}),
        client("gone", status={"state": "Deactivated", "deactivation": {"since": "2026-11-01T00:00:00Z"}}),
        subscriptions=(
            order("s1", "expires"),
            order("s2", "renews", autoRenew=True),
            order(
                "s3", "trial", type="Trial", startDate="2026-11-20", term={"days": 30}, ordered="2026-11-20T00:00:00Z"
            ),
            order("s4", None, customer={"displayName": "Newcomer"}, ordered="2026-11-27T00:00:00Z"),
            order("s5", "gone"),
        ),
    )


def test_each_table_has_its_own_and_each_client_counts_once() -> None:
    portfolio = portfolio_of_many()
    rows = license_rows(portfolio)

    def names(found: list[LicenseRow]) -> list[str]:
        return [row.client or row.display_name for row in found]

    assert names(expiring(rows, 90)) == ["trial", "expires"]
    assert names(expiring(rows, 30)) == ["trial"]
    assert names(renewing(rows, 90)) == ["renews"]
    assert names(recent(rows, 90)) == ["Newcomer", "trial"]
    assert [(row.client, row.product) for row in low_allocation(rows, portfolio)] == [("plain", "visitors")]
    assert [(row.client, row.over_by) for row in over_limit(rows)] == [("trial", 20)]
    told = summary(portfolio, rows, 90)
    assert (told.clients, told.expiring, told.renewing, told.recent, told.low_allocation) == (4, 2, 1, 1, 1)
    assert (told.over_limit, told.trials, told.ready_to_set_up, told.suspended_unpaid) == (1, 1, 1, 0)
    assert told.by_status[ClientStatus.EXPIRING_SOON] == 1
    assert [(item.product, item.total, item.used) for item in told.products] == [
        ("seats", 0, 5),
        ("visitors", 300, 210),
    ]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Filter(managed_by=("own",)), {"expires", "renews", "plain"}),
        (Filter(managed_by=("External",)), {"trial"}),
        (Filter(managed_by=("sellers",)), {"trial"}),
        (Filter(products=("seats",)), {"plain"}),
        (Filter(statuses=(ClientStatus.TRIAL, ClientStatus.READY_TO_SET_UP)), {"trial", "Newcomer"}),
        (Filter(types=(SubscriptionType.TRIAL,)), {"trial"}),
        (Filter(tags=("vip", "eu")), {"renews"}),
        (Filter(tags=("vip", "us")), set()),
        (Filter(search="renews kk"), {"renews"}),
        (Filter(search="po-s4"), {"Newcomer"}),
        (Filter(types=(SubscriptionType.PAID,), managed_by=("own",), tags=("vip",)), {"renews"}),
    ],
)
def test_filters_combine(wanted: Filter, names: set[str]) -> None:
    rows = license_rows(filtered(portfolio_of_many(), wanted))
    assert {row.client or row.display_name for row in rows} == names


def test_an_empty_agency_has_a_summary_of_zeros() -> None:
    portfolio = build()
    told = summary(portfolio, license_rows(portfolio), 90)
    assert (told.clients, told.expiring, told.products, told.missed_weeks) == (0, 0, (), ())
    assert set(told.by_status.values()) == {0}
    assert not usage_rows(portfolio)
    assert not performance_rows(portfolio)


def test_as_of_moves_terms_and_takes_use_from_the_snapshot_before() -> None:
    item = client(status=meters(500) | trends(100, 200, None, 400))
    found = (order("s1"),)
    later = license_rows(build(item, subscriptions=found, as_of=datetime(2027, 1, 2, tzinfo=UTC)))[0]
    assert (later.days_until, later.subscription_state, later.used) == (-1, "Expired", 40)
    before = license_rows(build(item, subscriptions=found, as_of=datetime(2026, 11, 10, tzinfo=UTC)))[0]
    assert (before.days_until, before.used, before.assigned) == (52, 200, 100)
    missed = license_rows(build(item, subscriptions=found, as_of=datetime(2026, 11, 16, tzinfo=UTC)))[0]
    assert (missed.used, missed.allocated, missed.total) == (None, None, 100)
    assert license_rows(build(item, as_of=datetime(2025, 6, 1, tzinfo=UTC))) == []  # not there yet


QUOTIENT = {"numerator": "lost", "denominator": "calls"}
METRICS = [
    {"name": "calls", "unit": "calls", "kind": "Counter"},
    {"name": "lost", "unit": "calls", "kind": "Counter", "better": "Down"},
    {"name": "lost-rate", "unit": "%", "kind": "Ratio", "better": "Down", **QUOTIENT},
]


def measured() -> Portfolio:
    series: Json = {"calls": [100, 200, 300, 500], "lost": [0, 5, 6, 26]}
    other: Json = {"calls": [0, 50, 60, 160], "lost": [0, 0, 0, 5]}
    return build(
        client("one", status=meters(5) | trends(1, 2, 3, 4, metrics=series)),
        client("two", status=trends(1, 2, None, 4, metrics=other)),
        plans=(plan(metrics=METRICS),),
    )


def test_a_metric_is_told_week_by_week_with_gaps() -> None:
    one, two = metric_rows(measured(), "lost-rate", 4)
    assert [entry.value for entry in one.weeks] == [None, 5, 1, 10]
    assert (one.latest, one.change, one.is_better) == (Decimal(10), Decimal(9), False)
    assert [entry.value for entry in two.weeks] == [None, 0, None, None]
    assert (two.latest, two.change, two.is_better, two.missed) == (None, None, None, 1)


def test_performance_ranks_by_the_better_way() -> None:
    rows = {(row.client, row.metric.name): row for row in performance_rows(measured(), 4)}
    assert rows["one", "calls"].rank == rows["one", "lost"].rank == 1
    assert (rows["one", "calls"].latest, rows["one", "calls"].average) == (Decimal(200), Decimal(400) / 3)
    assert (rows["two", "calls"].latest, rows["two", "calls"].rank, rows["two", "calls"].of) == (None, None, 1)
    assert rows["one", "use:visitors"].latest == 1


def test_metrics_that_clash_or_are_not_declared_are_refused() -> None:
    clash = build(
        client("one"),
        client("two", plan="other"),
        plans=(plan(metrics=METRICS), plan("other", metrics=[{**METRICS[0], "unit": "minutes"}])),
    )
    with pytest.raises(InputError, match=r"'calls' is declared differently by plans \(other: .*minutes; standard"):
        metric_rows(clash, "calls")
    with pytest.raises(InputError, match=r"no plan .* declares a metric 'x' .*; they declare calls, lost"):
        metric_rows(measured(), "x")


def test_use_by_week_says_how_many_are_missing() -> None:
    rows = {row.week: row for row in usage_rows(measured(), 4)}
    assert (rows[date(2026, 11, 22)].used, rows[date(2026, 11, 22)].used_in_week) == (8, 1)
    missed = rows[date(2026, 11, 15)]
    assert (missed.used, missed.clients, missed.missing) == (3, 1, 1)
    told = summary(measured(), [], 90)
    assert told.missed_weeks == (date(2026, 11, 15),)


def test_rows_name_every_field_once() -> None:
    names = [field.name for field in fields(LicenseRow)]
    assert len(names) == len(set(names))
    assert NOW.tzinfo is UTC


@pytest.mark.parametrize("created", ["2026-01-01T00:00:00Z", "2026-11-27T00:00:00Z", "2027-06-01T00:00:00Z"])
def test_a_client_with_snapshots_is_at_least_as_old_as_they_are(created: str) -> None:
    """The server's clock, which creates, and a stepped one, which takes snapshots, need not agree (X7)."""
    portfolio = build(client(created=created, status=meters(500) | trends(100, None, 400)))
    told = summary(portfolio, license_rows(portfolio), 90)
    assert told.missed_weeks == (date(2026, 11, 15),)
    assert license_rows(portfolio)[0].usage_three_months == 400
