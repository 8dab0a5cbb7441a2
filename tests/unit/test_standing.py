"""The statuses of row W1, by the cases that docs/subscriptions.md tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.clientorg import ClientStatus, OrgState
from clientorg.api.subscription import InvoiceState, SubscriptionType
from clientorg.domain.subscription import Attention, Invoice, Subscription
from clientorg.domain.subscription_standing import Standing, next_standing, order_statuses, statuses, trial_ends
from tests.support.install import ROOT

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TERMS = Attention(ZoneInfo("UTC"))
PAGE = (ROOT / "docs" / "subscriptions.md").read_text(encoding="utf-8")
_SUBSCRIPTION = re.compile(r"(order )?(Paid|Trial) (\d{4}-\d\d-\d\d) (\d+)([md])( renews)?")


def subscription(text: str, unpaid: str = "-", name: str = "s") -> Subscription:
    """`Paid 2026-01-01 12m renews`, with an invoice that is overdue since then."""
    match = _SUBSCRIPTION.fullmatch(text)
    assert match is not None, text
    invoices: tuple[Invoice, ...] = ()
    if unpaid != "-":
        due = date.fromisoformat(unpaid) - timedelta(days=1)
        invoices = (Invoice("R-1", None, due, Decimal("1.50"), "USD", InvoiceState.OPEN, None, ""),)
    return Subscription(
        namespace="agency",
        name=name,
        order_id="PO-1",
        client=None if match[1] else "acme",
        type=SubscriptionType(match[2]),
        products={"visitors": 10},
        start=date.fromisoformat(match[3]),
        months=int(match[4]) if match[5] == "m" else None,
        days=int(match[4]) if match[5] == "d" else None,
        renewal=None,
        auto_renew=bool(match[6]),
        invoices=invoices,
        ordered=None,
    )


def cases() -> Iterator[Any]:
    """Every row of the page's table."""
    lines = PAGE.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| subscriptions | unpaid since |"))
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        yield pytest.param(*cells, id=" / ".join(cells[:5]))


@pytest.mark.parametrize(("subscriptions", "unpaid", "use", "activity", "state", "told"), list(cases()))
def test_statuses_are_those_of_the_page(
    subscriptions: str, unpaid: str, use: str, activity: str, state: str, told: str
) -> None:
    known = [] if subscriptions == "-" else [subscription(text, unpaid) for text in subscriptions.split(", ")]
    expected = () if told == "-" else tuple(ClientStatus(word) for word in told.split())
    if state == "-":
        assert order_statuses(known[0]) == expected
        return
    used, _, granted = use.partition("/")
    standing = Standing(
        state=OrgState(state),
        subscriptions=known,
        granted={"visitors": int(granted)} if granted else {},
        used={"visitors": int(used)} if granted else {},
        active=None if activity == "-" else datetime.fromisoformat(activity).replace(hour=12, tzinfo=UTC),
    )
    assert statuses(standing, NOW, TERMS) == expected


def test_the_page_has_every_status() -> None:
    told = {word for case in cases() for word in case.values[5].split()}
    assert told == {*ClientStatus, "-"}


def test_users_beyond_the_contract_are_over_the_limit() -> None:
    assert statuses(Standing(OrgState.ACTIVE, users=(10, 11)), NOW, TERMS) == (ClientStatus.OVER_LIMIT,)
    assert statuses(Standing(OrgState.ACTIVE, users=(0, 11)), NOW, TERMS) == (ClientStatus.ACTIVE,)  # no contract


days = st.dates(date(2025, 1, 1), date(2027, 12, 31))
some_subscriptions = st.builds(
    lambda kind, start, length, unit, renews, unpaid: subscription(
        f"{kind} {start} {length}{unit}{' renews' if renews and kind == 'Paid' and unit == 'm' else ''}",
        str(unpaid) if unpaid else "-",
    ),
    st.sampled_from(["Paid", "Trial"]),
    days,
    st.integers(1, 40),
    st.sampled_from("md"),
    st.booleans(),
    st.none() | days,
)


@given(st.lists(some_subscriptions, max_size=3), st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)))
def test_statuses_change_only_when_it_is_foretold(found: list[Subscription], active: datetime | None) -> None:
    """So that a timer is enough, and nobody has to look again and again."""
    standing = Standing(OrgState.ACTIVE, found, active=active.replace(tzinfo=UTC) if active else None)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    for _ in range(30):
        then = next_standing(standing, now, TERMS)
        if then is None:
            assert statuses(standing, now + timedelta(days=3000), TERMS) == statuses(standing, now, TERMS)
            return
        assert then > now
        assert statuses(standing, then - timedelta(seconds=1), TERMS) == statuses(standing, now, TERMS)
        now = then


@pytest.mark.parametrize(
    ("texts", "ends"),
    [
        (["Trial 2026-11-20 14d"], "2026-12-04"),
        (["Trial 2026-11-25 14d"], None),  # on 9 December: not within seven days
        (["Trial 2026-11-01 14d"], None),  # over
        (["Trial 2026-11-20 14d", "Paid 2026-12-04 12m"], None),  # bought, from its end on
        (["Trial 2026-11-20 14d", "Trial 2026-11-25 30d"], None),  # another one goes on
        (["Trial 2026-11-20 14d", "Paid 2026-01-01 1m"], "2026-12-04"),  # what was bought before is over
        (["Paid 2026-01-01 11m"], None),
        ([], None),
    ],
)
def test_the_end_of_a_trial_is_near_unless_something_follows_it(texts: list[str], ends: str | None) -> None:
    found = trial_ends([subscription(text, name=str(index)) for index, text in enumerate(texts)], NOW, TERMS)
    assert (None if found is None else found.date().isoformat()) == ends


@given(st.lists(some_subscriptions, max_size=3))
def test_statuses_are_in_order_and_each_once(found: list[Subscription]) -> None:
    told = statuses(Standing(OrgState.ACTIVE, found), NOW, TERMS)
    order = [*ClientStatus]
    assert told
    assert all(order.index(one) < order.index(other) for one, other in pairwise(told))
    assert ClientStatus.ACTIVE not in told or told == (ClientStatus.ACTIVE,)
