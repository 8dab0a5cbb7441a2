"""Who of the provider enters a workspace: what is asked, granted and selected (FEATURES A4, W7, S13)."""

from __future__ import annotations

from typing import Any

import pytest

from clientorg.api.access import Access, AccessLevel, LabelSelector
from clientorg.domain.access import (
    Grant,
    access_json,
    agency_level,
    entrants,
    first_grant,
    read_grant,
    selects,
    support_level,
)

FULL, READ_ONLY, NONE = AccessLevel.FULL, AccessLevel.READ_ONLY, AccessLevel.NONE


def names(subjects: tuple[dict[str, Any], ...]) -> list[str]:
    """Their names."""
    return [subject["name"] for subject in subjects]


@pytest.mark.parametrize("offer", AccessLevel)
@pytest.mark.parametrize("granted", AccessLevel)
def test_the_lesser_of_what_is_asked_and_granted_holds(offer: AccessLevel, granted: AccessLevel) -> None:
    order = [NONE, READ_ONLY, FULL]

    level = agency_level(offer, Grant(granted, NONE))

    assert order.index(level) == min(order.index(offer), order.index(granted))


@pytest.mark.parametrize("offer", AccessLevel)
def test_new_workspace_grants_what_is_asked_and_support_to_look(offer: AccessLevel) -> None:
    assert agency_level(offer, None) == agency_level(offer, first_grant(offer)) == offer
    assert support_level(None) == first_grant(offer).support == READ_ONLY


@pytest.mark.parametrize("data", [{}, {"agencyAccess": "full", "supportAccess": "yes"}, {"agencyaccess": "Full"}])
def test_what_cannot_be_read_grants_nothing(data: dict[str, str]) -> None:
    assert read_grant(data) == Grant(NONE, NONE)


def test_grant_survives_being_written_and_support_never_gets_more_than_a_look() -> None:
    for agency in AccessLevel:
        for support in (READ_ONLY, NONE):
            assert read_grant(Grant(agency, support).data) == Grant(agency, support)
    assert read_grant({"agencyAccess": "Full", "supportAccess": "Full"}).support == READ_ONLY


def test_status_tells_what_holds_and_what_is_granted() -> None:
    assert access_json(READ_ONLY, Grant(FULL, NONE)) == {"agency": "ReadOnly", "granted": "Full", "support": "None"}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {}, True),
        ({}, {}, True),
        ({"matchLabels": {"tier": "gold"}}, {"tier": "gold", "x": "y"}, True),
        ({"matchLabels": {"tier": "gold"}}, {"tier": "tin"}, False),
        ({"matchLabels": {"tier": "gold"}}, {}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "tin"]}]}, {"tier": "tin"}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]}, {}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}, {}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}, {"tier": "gold"}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, {"tier": ""}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, {"tier": ""}, False),
        ({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}, {"a": "b"}, False),
    ],
)
def test_selector_means_what_kubernetes_says(
    selector: dict[str, Any] | None, labels: dict[str, str], expected: bool
) -> None:
    given = None if selector is None else LabelSelector.model_validate(selector)

    assert selects(given, labels) is expected


def access(**fields: Any) -> Access:
    """A plan's access: a full and a reading admin, one for gold clients only, and support for all and for gold."""
    gold = {"matchLabels": {"tier": "gold"}}
    agency = [{"name": "admins"}, {"name": "auditors", "role": "ReadOnly"}, {"name": "gold", "clientSelector": gold}]
    support = [{"name": "support"}, {"kind": "User", "name": "sam", "clientSelector": gold}]
    return Access.model_validate({"agency": agency, "support": support, **fields})


@pytest.mark.parametrize(
    ("offer", "granted", "labels", "full", "readers"),
    [
        (FULL, FULL, {}, ["admins"], ["auditors"]),
        (FULL, FULL, {"tier": "gold"}, ["admins", "gold"], ["auditors"]),
        (FULL, READ_ONLY, {}, [], ["admins", "auditors"]),
        (READ_ONLY, FULL, {"tier": "gold"}, [], ["admins", "auditors", "gold"]),
        (FULL, NONE, {"tier": "gold"}, [], []),
        (NONE, FULL, {}, [], []),
    ],
)
def test_agency_enters_as_both_sides_want_it(
    offer: AccessLevel, granted: AccessLevel, labels: dict[str, str], full: list[str], readers: list[str]
) -> None:
    found = entrants(access(), "tokyo", labels, (), offer, Grant(granted, READ_ONLY))

    assert (names(found.full), names(found.readers)) == (full, readers)


def test_support_is_for_all_for_those_selected_or_for_one_client_and_can_be_withdrawn() -> None:
    def support(labels: dict[str, str], own: list[dict[str, str]], level: AccessLevel) -> list[str]:
        return names(entrants(access(), "tokyo", labels, own, FULL, Grant(NONE, level)).support)

    own = [{"kind": "User", "name": "kim"}, {"kind": "Group", "name": "support"}]
    assert support({}, [], READ_ONLY) == ["support"]
    assert support({"tier": "gold"}, [], READ_ONLY) == ["support", "sam"]
    assert support({}, own, READ_ONLY) == ["support", "kim"]  # named twice, bound once
    assert support({"tier": "gold"}, own, NONE) == []


def test_login_by_token_lets_the_agencys_own_accounts_in_and_withdrawal_keeps_them_out() -> None:
    by_token = access(agency=[], support=[], login={"method": "Token"})
    account = {"kind": "ServiceAccount", "name": "clientorg-agency", "namespace": "tokyo"}

    full = entrants(by_token, "tokyo", {}, (), FULL, Grant(FULL, READ_ONLY))
    reading = entrants(by_token, "tokyo", {}, (), FULL, Grant(READ_ONLY, NONE))
    nobody = entrants(by_token, "tokyo", {}, (), FULL, Grant(NONE, NONE))

    assert (full.full, names(full.support)) == ((account,), ["clientorg-support"])
    assert (reading.full, reading.readers, reading.support) == ((), (account,), ())
    assert (nobody.full, nobody.readers, nobody.support) == ((), (), ())
