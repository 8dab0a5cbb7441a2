"""What the operator knows of its kinds: newest versions only, and indexes that a recount would give."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clientorg.api.meta import ANNOTATION_RECONCILE, ANNOTATION_TRANSFER, FINALIZER, LABEL_ORG_ID
from clientorg.control.clientobject import Client
from clientorg.control.objects import Plan, Pool
from clientorg.control.store import Store
from clientorg.domain.allocation import Grant, Holder, Transfer
from clientorg.domain.identity import org_id
from tests.support import builders
from tests.unit.strategies import NOW, Json, holdings

AGENCIES = ("kyoto", "tokyo")


def client(
    name: str = "acme",
    agency: str = "tokyo",
    uid: str = "u1",
    version: int = 1,
    wanted: dict[str, int] | None = None,
    held: dict[str, int] | None = None,
    pool: str = "pool",
    plan: str = "standard",
    deleting: bool = False,
    **metadata: Any,
) -> Json:
    """A ClientOrg as the API server returns it."""
    manifest = builders.client(agency, name, pool=pool, plan=plan, licenses=wanted or {"seats": 10})
    manifest["metadata"] |= {
        "uid": uid,
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": NOW,
        **({"deletionTimestamp": NOW} if deleting else {}),
        **metadata,
    }
    licenses = [{"name": license, "granted": quantity} for license, quantity in (held or {}).items()]
    manifest["status"] = {"observedGeneration": 1, "licenses": licenses, "lastGrant": 1}
    return manifest


def pool(uid: str = "p1", version: int = 1, **status: Any) -> Json:
    """A QuotaPool as the API server returns it."""
    manifest = builders.pool("tokyo", "pool", seats=10)
    manifest["metadata"] |= {"uid": uid, "resourceVersion": str(version), "generation": 1}
    return {**manifest, "status": {"observedGeneration": -1, **status}}


def plan(uid: str = "t1", version: int = 1, generation: int = 1, **workspace: Any) -> Json:
    """An OrgPlan as the API server returns it."""
    manifest = builders.plan("tokyo", "standard", **workspace)
    manifest["metadata"] |= {"uid": uid, "resourceVersion": str(version), "generation": generation}
    return manifest


# -- one object ----------------------------------------------------------------------------------------------------


def test_client_is_read_with_all_that_decides() -> None:
    manifest = client(
        wanted={"seats": 10, "mails": 5},
        held={"seats": 8},
        labels={LABEL_ORG_ID: "forged"},
        finalizers=["x/y", FINALIZER],
        annotations={ANNOTATION_TRANSFER: "bee/seats/3/10", ANNOTATION_RECONCILE: "now"},
    )
    manifest["status"] |= {"lastGrant": 7, "pending": {"since": NOW, "position": 3}}
    manifest["status"]["licenses"][0] |= {"used": 2, "remaining": 6}
    found = Client.of(manifest)

    assert found.name == ("tokyo", "acme")
    assert (found.wanted, found.held, found.used) == ({"seats": 10, "mails": 5}, {"seats": 8}, {"seats": 2})
    assert found.holder == Holder({"seats": 8}, 7)
    assert found.raises == {"seats": 10, "mails": 5}
    assert found.transfer == Transfer("bee", "seats", 3, 10)
    assert (found.reconcile_requested, found.pending_since, found.has_finalizer) == ("now", NOW, True)
    assert found.org_id == org_id("u1") != found.org_label, "derived: anybody may set the label"
    assert found.namespace == f"acme-{org_id('u1')}"
    assert (found.spec, found.status) == (manifest["spec"], manifest["status"])


def test_client_that_nobody_has_seen_yet_holds_nothing() -> None:
    manifest = client()
    manifest["status"] = {"observedGeneration": -1}
    found = Client.of(manifest)

    assert (found.holder, found.used, found.pending_since) == (Holder({}, 0), {}, None)
    assert not found.has_finalizer
    assert Client.of({**manifest, "status": None}).holder == Holder({}, 0)


def test_client_that_is_deleted_asks_for_nothing_more() -> None:
    assert Client.of(client(deleting=True)).raises == {}


def test_pool_is_read_with_its_grants_by_client() -> None:
    flying = [
        {"orgUID": "a", "orgName": "ant", "grant": 3, "license": "seats", "from": 1, "to": 5},
        {"orgUID": "a", "orgName": "ant", "grant": 3, "license": "mails", "from": 0, "to": 2},
        {"orgUID": "b", "orgName": "bee", "grant": 4, "license": "seats", "from": 0, "to": 1},
    ]
    found = Pool.of(pool(inFlight=flying, lastGrant=4, writer="operator-1"))

    assert found.grants == {
        "a": (Grant("a", "ant", 3, "seats", 1, 5), Grant("a", "ant", 3, "mails", 0, 2)),
        "b": (Grant("b", "bee", 4, "seats", 0, 1),),
    }
    assert (found.last_grant, found.writer, found.capacity, found.strict) == (4, "operator-1", {"seats": 10}, False)


def test_new_pool_has_empty_books() -> None:
    found = Pool.of(pool())

    assert (found.last_grant, found.writer, found.grants) == (0, None, {})


def test_strict_queueing_is_read() -> None:
    manifest = pool()
    manifest["spec"]["queueing"] = "StrictFIFO"

    assert Pool.of(manifest).strict


def test_plan_is_compiled_once_for_each_generation() -> None:
    store = Store()
    first = store.put_plan(plan(version=1))
    same = store.put_plan(plan(version=2))
    edited = store.put_plan(plan(version=3, generation=2))
    anew = store.put_plan(plan(version=4, generation=2, uid="t2"))

    assert first is not None
    assert same is not None
    assert edited is not None
    assert anew is not None
    assert same.template is first.template
    assert edited.template is not first.template
    assert anew.template is not edited.template


def test_plan_that_the_crd_does_not_admit_is_refused_and_the_old_one_stays() -> None:
    store = Store()
    store.put_plan(plan(version=1))
    with pytest.raises(ValidationError):
        store.put_plan(plan(version=2, generation=2, podSecurity={"enforce": "none"}))

    assert store.plans["tokyo", "standard"].version == 1


def test_plan_with_a_quantity_beyond_all_measure_can_be_read() -> None:
    """The schema admits it. What comes of it is that plan's clients' trouble, and nobody else's."""
    assert Plan.of(plan(resourceQuota={"pods": "1e5000"})).template.spec.workspace.resource_quota == {"pods": "1e5000"}


# -- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 4, 5])
def test_version_that_is_not_newer_is_ignored(version: int) -> None:
    """Events come late, and own answers before their events."""
    store = Store()
    store.put_client(client(version=5, held={"seats": 3}))
    store.put_pool(pool(version=5))
    store.put_plan(plan(version=5))

    assert store.put_client(client(version=version)) is None
    assert store.put_pool(pool(version=version)) is None
    assert store.put_plan(plan(version=version)) is None
    assert store.members(("tokyo", "pool")).held == Counter({"seats": 3})


def test_versions_are_compared_as_numbers() -> None:
    store = Store()
    store.put_client(client(version=9))

    assert store.put_client(client(version=10)) is not None


def test_late_deletion_of_an_old_object_leaves_the_new_one_of_that_name() -> None:
    store = Store()
    store.put_client(client(version=5, uid="new"))
    store.put_pool(pool(version=5, uid="new"))
    store.put_plan(plan(version=5, uid="new"))
    store.drop_pool(("tokyo", "pool"), "old")
    store.drop_plan(("tokyo", "standard"), "old")

    assert store.drop_client(("tokyo", "acme"), "old") is None
    assert (len(store.clients), len(store.pools), len(store.plans)) == (1, 1, 1)


def test_dropping_what_is_not_there_is_nothing() -> None:
    store = Store()
    store.drop_pool(("tokyo", "pool"), "x")
    store.drop_plan(("tokyo", "standard"), "x")

    assert store.drop_client(("tokyo", "acme"), "x") is None


def test_client_made_anew_in_another_pool_leaves_the_first() -> None:
    """Its deletion may be heard of after its creation, or never."""
    store = Store()
    store.put_client(client(uid="old", version=1, pool="east", held={"seats": 4}))
    store.put_client(client(uid="new", version=2, pool="west", held={"seats": 1}))

    assert store.members(("tokyo", "east")).clients == {}
    assert +store.members(("tokyo", "east")).held == Counter()
    assert store.members(("tokyo", "west")).held == Counter({"seats": 1})
    assert store.by_namespace == {f"acme-{org_id('new')}": ("tokyo", "acme")}


# -- indexes, against a naive recount ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Put:
    """A client in some version. Its UID says when it was made: later ones have higher versions."""

    agency: str
    name: str
    made: int
    version: int
    pool: str
    plan: str
    wanted: dict[str, int]
    held: dict[str, int]
    deleting: bool

    @property
    def uid(self) -> str:
        """UID of the object."""
        return f"{self.agency}-{self.name}-{self.made}"

    @property
    def manifest(self) -> Json:
        """The object."""
        return client(
            self.name,
            self.agency,
            self.uid,
            100 * self.made + self.version,
            self.wanted,
            self.held,
            f"{self.pool}-{self.made}",
            self.plan,
            self.deleting,
        )


@dataclass(frozen=True)
class Drop:
    """A client is gone."""

    agency: str
    name: str
    made: int


names = st.sampled_from("abc")
agencies = st.sampled_from(AGENCIES)
makes = st.integers(0, 2)
puts = st.builds(
    Put,
    agencies,
    names,
    makes,
    st.integers(1, 9),
    st.sampled_from(["east", "west"]),
    st.sampled_from(["basic", "standard"]),
    holdings.filter(bool),
    holdings,
    st.booleans(),
)
drops = st.builds(Drop, agencies, names, makes)


@given(st.lists(puts | drops, max_size=30))
def test_indexes_are_what_a_recount_gives_after_any_puts_and_drops(steps: list[Put | Drop]) -> None:
    store = Store()
    living: dict[tuple[str, str], Put] = {}
    gone: set[tuple[str, str, int]] = set()
    for step in steps:
        name = (step.agency, step.name)
        known = living.get(name)
        if isinstance(step, Drop):
            gone.add((*name, step.made))
        if isinstance(step, Put):
            is_newer = known is None or (step.made, step.version) > (known.made, known.version)
            if is_newer and (*name, step.made) not in gone:
                living[name] = step
                assert store.put_client(step.manifest) is not None
            else:
                assert store.put_client(step.manifest) is None
        elif known is not None and known.made == step.made:
            del living[name]
            assert store.drop_client(name, f"{step.agency}-{step.name}-{step.made}") is not None
        else:
            assert store.drop_client(name, f"{step.agency}-{step.name}-{step.made}") is None

    assert {name: found.version for name, found in store.clients.items()} == {
        name: 100 * put.made + put.version for name, put in living.items()
    }
    assert store.by_namespace == {f"{put.name}-{org_id(put.uid)}": name for name, put in living.items()}
    for agency in AGENCIES:
        for pool_name in (f"{side}-{made}" for side in ("east", "west") for made in range(3)):
            inside = [
                put
                for put in living.values()
                if put.agency == agency and put.manifest["spec"]["poolRef"]["name"] == pool_name
            ]
            members = store.members((agency, pool_name))
            total: Counter[str] = Counter()
            for put in inside:
                total.update(put.held)
            assert +members.held == +total
            assert min(members.held.values(), default=0) >= 0
            assert members.clients.keys() == {put.uid for put in inside}
            assert members.unsatisfied.keys() == {
                put.uid
                for put in inside
                if not put.deleting and any(want > put.held.get(license, 0) for license, want in put.wanted.items())
            }
            assert all(members.unsatisfied[uid] is members.clients[uid] for uid in members.unsatisfied)
        for plan_name in ("basic", "standard"):
            on_it = {name for name, put in living.items() if put.agency == agency and put.plan == plan_name}
            assert set(store.clients_of_plan((agency, plan_name))) == on_it
            assert store.count_of_plan((agency, plan_name)) == len(on_it)


def test_plans_clients_may_change_while_they_are_gone_through() -> None:
    """A pass over them adds and drops."""
    store = Store()
    for number in range(3):
        store.put_client(client(f"c{number}", uid=f"u{number}"))
    for agency, name in store.clients_of_plan(("tokyo", "standard")):
        store.drop_client((agency, name), f"u{name[1:]}")

    assert store.clients == {}


def test_client_that_is_gone_does_not_come_back_by_an_older_list() -> None:
    """A pass over it would build its workspace anew, for nobody."""
    store = Store()
    store.put_client(client(version=3))
    store.drop_client(("tokyo", "acme"), "u1")

    assert store.put_client(client(version=2)) is None
    assert store.clients == {}
    assert store.put_client(client(uid="u2", version=5)) is not None, "one made anew is another"
