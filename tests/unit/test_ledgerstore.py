"""The ledger in memory: sums kept as transactions come and go are those of what is there."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clientorg.control.ledgerstore import LedgerStore

Json = dict[str, Any]
AGENCY = "tokyo"
ORGS = {"ant": "id-ant", "bee": "id-bee"}
NAMES = [f"t{number}" for number in range(6)]


def store() -> LedgerStore:
    return LedgerStore(lambda name: ORGS.get(name[1]), lambda name: "pool" if name[1] in ORGS else None)


@st.composite
def transactions(draw: st.DrawFn) -> Json:
    """A transaction in some version: of a few names, so that new versions and new objects of old names come."""
    kind = draw(st.sampled_from(["Purchase", "TopUp", "Withdrawal", "Charge"]))
    org = draw(st.sampled_from(sorted(ORGS)))
    source, target = {
        "Purchase": ("external", "pool/pool"),
        "TopUp": ("pool/pool", f"org/{org}"),
        "Withdrawal": (f"org/{org}", "pool/pool"),
        "Charge": (f"org/{org}", "consumed"),
    }[kind]
    spec: Json = {"kind": kind, "from": source, "to": target, "amount": draw(st.integers(1, 9))}
    if kind == "Charge":
        period = draw(st.sampled_from(["2026-11", "2026-12"]))
        inputs = {"users": draw(st.integers(0, 3)), "dueTime": f"{period}-25T00:00:00Z"}
        spec |= {"orgID": ORGS[org], "period": period, "charge": inputs, "pool": "pool"}
    phase = draw(st.sampled_from([None, "Waiting", "Posted", "Rejected"]))
    status: Json = {} if phase is None else {"phase": phase}
    if phase == "Posted":
        status |= {"entry": draw(st.integers(1, 99)), "pool": "pool"}
        if kind != "Purchase":
            status["orgID"] = ORGS[org]
    name = f"{org}-{spec['period']}" if kind == "Charge" else draw(st.sampled_from(NAMES))
    return {
        "metadata": {
            "namespace": AGENCY,
            "name": name,
            "uid": f"{name}-{draw(st.sampled_from(['old', 'new']))}",
            "resourceVersion": str(draw(st.integers(1, 50))),
            "creationTimestamp": "2026-11-25T09:00:00Z",
        },
        "spec": spec,
        "status": status,
    }


@given(st.lists(st.tuples(st.booleans(), transactions()), max_size=40))
def test_sums_are_those_of_what_is_there(steps: list[tuple[bool, Json]]) -> None:
    kept = store()
    for is_put, manifest in steps:
        metadata = manifest["metadata"]
        if is_put:
            kept.put(manifest)
        else:
            kept.drop((AGENCY, metadata["name"]), metadata["uid"])

    facts = {name: item.fact for name, item in kept.movements.items()}
    posted = [fact for fact in facts.values() if fact.is_posted]
    pool = ("tokyo", "pool")
    assert kept.posted(pool) == (sum(fact.pool_change for fact in posted), len(posted))
    open_ = {name[1] for name, fact in facts.items() if not fact.is_posted and not fact.is_rejected}
    assert {item.fact.name for item in kept.open_in(AGENCY)} == open_
    assert kept.open_count(AGENCY) == len(open_)
    assert {item.fact.name for item in kept.open_of(pool)} == open_
    for name, org_id in ORGS.items():
        org = (AGENCY, org_id)
        ours = [fact for fact in facts.values() if fact.org == name]
        assert kept.balance(org) == sum(fact.org_change for fact in ours if fact.is_posted)
        charges = {fact.period: fact.users for fact in ours if fact.period}
        assert kept.charged(org) == max(charges, default=None)
        for period in ("2026-11", "2026-12"):
            assert kept.charged_users(org, period) == charges.get(period)
        assert {item.fact.name for item in kept.open_for(AGENCY, name, org_id)} == open_ & {fact.name for fact in ours}
        assert kept.has_account(org) == any(fact.org_id == org_id for fact in ours)


def test_older_version_changes_nothing() -> None:
    kept = store()
    manifest: Json = {
        "metadata": {
            "namespace": AGENCY,
            "name": "t",
            "uid": "u",
            "resourceVersion": "5",
            "creationTimestamp": "2026-11-25T09:00:00Z",
        },
        "spec": {"kind": "Purchase", "from": "external", "to": "pool/pool", "amount": 7},
        "status": {"phase": "Posted", "entry": 1, "pool": "pool"},
    }
    assert kept.put(manifest) is not None

    older = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "4"}, "status": {}}

    assert kept.put(older) is None
    assert kept.posted(("tokyo", "pool")) == (7, 1)
    assert kept.drop((AGENCY, "t"), "another uid") is None
