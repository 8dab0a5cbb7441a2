"""The delivery notice: when a client is Ready for the first time, once, and again on demand (FEATURES S4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clientorg.api.notifications import MAX_OUTBOX
from clientorg.domain.client_facts import Facts
from clientorg.domain.client_status import status_of
from clientorg.domain.decision import decide
from clientorg.domain.messages import from_status
from clientorg.domain.notices import delivery_again, notices
from clientorg.domain.timestamps import rfc3339
from tests.unit.life_model import NOON, facts_of, situation

Json = dict[str, Any]

DECISION = decide(situation())
READY = replace(facts_of(DECISION, situation().state), provisioned=True, established=True)
URL = "https://portal.example/acme"


def message(kind: str, key: str = "") -> Json:
    """A message in an outbox."""
    return {"key": key or kind, "kind": kind, "params": {}, "created": rfc3339(NOON)}


def delivered(before: Json, facts: Facts = READY) -> int:
    """How often the delivery is told."""
    return sum(notice.kind.value == "delivery" for notice in notices(before, facts, DECISION, NOON))


@pytest.mark.parametrize(
    ("before", "times"),
    [
        pytest.param({}, 1, id="never seen before"),
        pytest.param({"state": "Provisioning"}, 1, id="built now"),
        pytest.param({"state": "Rejected", "outbox": [message("rejected")]}, 1, id="approved after a rejection"),
        pytest.param({"state": "Active", "outbox": [message("threshold")]}, 1, id="up before it was whole"),
        pytest.param({"state": "Provisioning", "workspace": {"readyTime": rfc3339(NOON)}}, 0, id="built anew"),
        pytest.param({"state": "Active", "outbox": [message("delivery")]}, 0, id="told by an operator of before"),
        pytest.param(
            {"state": "Active", "outbox": [message("threshold", f"t{n}") for n in range(MAX_OUTBOX)]},
            0,
            id="told so long ago that others have taken its place",
        ),
    ],
)
def test_it_is_told_the_first_time_alone(before: Json, times: int) -> None:
    assert delivered(before) == times
    after = status_of(READY, before, rfc3339(NOON))
    assert after["workspace"]["readyTime"] == rfc3339(NOON)
    assert delivered(after) == 0


def test_workspace_that_is_not_whole_is_not_told() -> None:
    facts = replace(READY, provisioned=False)

    assert delivered({}, facts) == 0
    assert "readyTime" not in status_of(facts, {}, rfc3339(NOON))["workspace"]


def test_it_is_written_anew_on_demand_where_it_is_not_listed_any_more() -> None:
    facts, was_ready = replace(READY, url=URL), {"workspace": {"readyTime": rfc3339(NOON)}}

    (again,) = delivery_again(was_ready, facts, (), NOON)

    assert (again.kind.value, again.params) == ("delivery", {"url": URL})
    assert delivery_again(was_ready, facts, from_status([message("delivery")]), NOON) == []
    assert delivery_again({}, facts, (), NOON) == [], "it was never delivered"
