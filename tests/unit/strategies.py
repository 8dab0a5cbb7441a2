"""Builders with sane defaults, and Hypothesis strategies, for the pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from clientorg.api.conditions import Reason
from clientorg.api.orgplan import OrgPlanSpec
from clientorg.domain.allocation import Grant, Holder, Request, Waiting
from clientorg.domain.client_facts import Facts, Problem
from clientorg.domain.pool_status import PoolFacts
from clientorg.domain.workspace import Org

Json = dict[str, Any]

NOW = "2026-11-01T00:00:00Z"
LATER = "2026-11-02T00:00:00Z"


# -- builders ------------------------------------------------------------------------------------------------------


def request(
    name: str, raises: Mapping[str, int], held: Mapping[str, int] | None = None, since: str = NOW, **fields: Any
) -> Request:
    """What a client asks for; its UID is its name."""
    return Request(name, name, since, held or {}, raises, **fields)


def grant(name: str, to: int, serial: int = 1, license: str = "seats", held: int = 0) -> Grant:
    """A raise of one license; the client's UID is its name."""
    return Grant(name, name, serial, license, held, to)


def facts(**fields: Any) -> Facts:
    """A client that has what it asked for."""
    default: Json = {
        "generation": 3,
        "org_id": "7k2m9q4xta",
        "namespace": "acme-7k2m9q4xta",
        "url": None,
        "holder": Holder({"seats": 10}, 1),
        "wanted": {"seats": 10},
        "used": {},
        "provisioned": True,
        "established": True,
    }
    default["asked"] = fields.get("wanted", default["wanted"])
    return Facts(**default | fields)


def pool_facts(**fields: Any) -> PoolFacts:
    """The books of a pool of ten seats that nobody uses."""
    default: Json = {
        "generation": 1,
        "deleting": False,
        "capacity": {"seats": 10},
        "allocated": {},
        "in_flight": (),
        "waiting": (),
        "wanted_more": {},
        "clients": 0,
        "last_grant": 0,
        "writer": "operator-1",
    }
    return PoolFacts(**default | fields)


def org(**fields: Any) -> Org:
    """Acme in Tokyo."""
    default: Json = {
        "name": "acme",
        "agency": "agency-tokyo",
        "uid": "6b4b9d0e-0000-4000-8000-000000000001",
        "org_id": "7k2m9q4xta",
        "namespace": "acme-7k2m9q4xta",
        "display_name": "Acme K.K.",
        "language": "ja",
    }
    return Org(**default | fields)


def plan_spec(**workspace: Any) -> OrgPlanSpec:
    """A plan; fields of spec.workspace as they are in YAML."""
    return OrgPlanSpec.model_validate({"workspace": workspace})


# -- strategies ----------------------------------------------------------------------------------------------------

license_names = st.sampled_from(["mails", "seats", "visitors"])
quantities = st.integers(0, 12)
holdings = st.dictionaries(license_names, quantities)
times = st.integers(0, 5).map(lambda minute: f"2026-11-01T00:0{minute}:00Z")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
json_documents = st.dictionaries(st.text(max_size=3), json_values, max_size=4)


@st.composite
def requests(draw: st.DrawFn, blocked: bool = True) -> list[Request]:
    """Requests of different clients, each for more than it holds."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=7))
    found = []
    for name in names:
        held = draw(holdings)
        more = draw(st.dictionaries(license_names, st.integers(1, 6), min_size=1))
        raises = {license: held.get(license, 0) + quantity for license, quantity in more.items()}
        found.append(
            request(
                name,
                raises,
                held,
                draw(times),
                first=draw(st.booleans()),
                blocked_by=draw(st.sampled_from([None, None, "source"])) if blocked else None,
            )
        )
    return found


@st.composite
def holders(draw: st.DrawFn) -> dict[str, Holder]:
    """Clients by UID."""
    entries = st.builds(Holder, holdings, st.integers(0, 5))
    return draw(st.dictionaries(st.sampled_from("abcd"), entries))


@st.composite
def grants(draw: st.DrawFn) -> list[Grant]:
    """Grants in flight: at most one for a client and license, and all of a client's of one serial."""
    found: list[Grant] = []
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True)):
        serial = draw(st.integers(1, 6))
        for license, held in draw(holdings).items():
            found.append(grant(name, held + draw(st.integers(1, 6)), serial, license, held))
    return found


_PROBLEMS = st.sampled_from(
    [
        Problem(Reason.POOL_NOT_FOUND, "no pool"),
        Problem(Reason.LICENSE_UNKNOWN, "no such license"),
        Problem(Reason.POOL_DELETING, "going"),
        Problem(Reason.NAMESPACE_CONFLICT, "another's"),
        Problem(Reason.APPLY_FAILED, "again"),
        Problem(Reason.FORBIDDEN, "no right"),
        Problem(Reason.BLUEPRINT_INVALID, "wrong"),
    ]
)


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    """Whatever a pass may find, also what makes little sense together."""
    held, wanted, used = draw(holdings), draw(holdings), draw(holdings)
    waiting = draw(
        st.none()
        | st.builds(
            Waiting, st.just("u"), st.just("acme"), st.integers(1, 300), holdings, st.sampled_from([None, "other"])
        )
    )
    return facts(
        generation=draw(st.integers(1, 9)),
        holder=Holder(held, draw(st.integers(0, 9))),
        wanted=wanted,
        used=used,
        kept_back=draw(st.sampled_from([{}, {"seats": (2, 5)}])),
        waiting=waiting,
        pending_since=draw(st.sampled_from([None, NOW])),
        licensing=draw(st.none() | _PROBLEMS),
        workspace=draw(st.none() | _PROBLEMS),
        provisioned=draw(st.booleans()),
        established=draw(st.booleans()),
        url=draw(st.sampled_from([None, "https://acme.example"])),
        reconcile_requested=draw(st.sampled_from([None, "now"])),
        deleting=draw(st.sampled_from([None, "deleting namespace x"])),
    )


def conditions_of(status: Mapping[str, Any]) -> dict[str, Json]:
    """Conditions by type."""
    found: Sequence[Json] = status["conditions"]
    return {condition["type"]: condition for condition in found}
