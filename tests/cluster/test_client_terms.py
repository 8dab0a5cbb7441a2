"""What the API server says of dates and of contracted users when a client is written (FEATURES S2, S5, S7, S11)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from clientorg.domain.timestamps import rfc3339
from tests.cluster._ledger import CONSENT, billing_plan, terminated
from tests.cluster._plane import OPERATOR, OWNER, ROOT, Answer, Json, Plane, client_org, remove_namespace, until
from tests.cluster.test_admission import refused, taken

pytest_plugins = ["tests.cluster._plane"]

pytestmark = pytest.mark.cluster

# -- dates ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calendar(plane: Plane) -> Iterator[str]:
    """An agency with the policy on dates, bound to that one namespace: other tests step their clocks."""
    name = f"agency-{uuid.uuid4().hex[:8]}"
    plane.do("create", "namespace", name)
    text = (ROOT / "manifests" / "policies" / "client-dates.yaml").read_text(encoding="utf-8")
    policy, binding = yaml.safe_load_all(text)
    only = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    narrow = {**binding, "spec": {**binding["spec"], "matchResources": only}}
    for manifest in (policy, narrow):
        plane.do("apply", "--server-side", "-f=-", stdin=manifest)
    probe = terminated(name, time="2020-01-01T00:00:00Z")
    until(lambda: plane.create(probe, dry_run=True).code != 0, "the policy to take effect")
    yield name
    for manifest in (narrow, policy):
        plane.do("delete", "-f=-", stdin=manifest)
    remove_namespace(plane, name, wait=False)


def moment(**ago: float) -> str:
    """So long ago; negative: from now."""
    return rfc3339(datetime.now(UTC) - timedelta(**ago))


# Ways of sending a manifest: of a client that is new, and of one that is there.
WAYS: dict[str, Callable[[Plane, Json], Answer]] = {
    "create": lambda plane, manifest: plane.create(manifest, dry_run=True),
    "server-side apply of a new one": lambda plane, manifest: plane.run(
        "apply", "--server-side", "--dry-run=server", "-f=-", stdin=manifest
    ),
}
CHANGES: dict[str, Callable[[Plane, Json], Answer]] = {
    "replace": lambda plane, manifest: plane.run("replace", "--dry-run=server", "-f=-", stdin=manifest),
    "apply": lambda plane, manifest: plane.run("apply", "--dry-run=server", "-f=-", stdin=manifest),
    "server-side apply": lambda plane, manifest: plane.run(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f=-", stdin=manifest
    ),
    "patch": lambda plane, manifest: plane.run(
        "patch",
        "clientorgs",
        manifest["metadata"]["name"],
        f"-n={manifest['metadata']['namespace']}",
        "--type=merge",
        "--dry-run=server",
        f"-p={json.dumps({'spec': {'termination': manifest['spec']['termination']}})}",
    ),
}


ENTRY: Json = {"operation": "Update", "apiVersion": "clientorg.dev/v1alpha1", "fieldsType": "FieldsV1"}


@pytest.fixture(scope="module")
def old(plane: Plane, calendar: str) -> str:
    """Name of a client that was changed last years ago, by its managedFields."""
    plane.do("create", "-f=-", stdin=client_org("old", namespace=calendar))
    entry = {**ENTRY, "manager": "x", "time": "2020-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:displayName": {}}}}
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [entry]}]
    answer = plane.do(
        "patch",
        "clientorgs",
        "old",
        f"-n={calendar}",
        "--type=json",
        f"-p={json.dumps(patch)}",
        "-o=json",
        "--show-managed-fields",
    )
    assert [entry["time"] for entry in answer.json()["metadata"]["managedFields"]] == ["2020-01-01T00:00:00Z"]
    return "old"


@pytest.mark.parametrize("way", [*WAYS, *CHANGES])
def test_termination_in_the_past_is_refused_whichever_way_it_comes(
    plane: Plane, calendar: str, old: str, way: str
) -> None:
    def send(**termination: Any) -> Answer:
        manifest = terminated(calendar, **termination)
        if way in CHANGES:
            manifest["metadata"]["name"] = old
        return {**WAYS, **CHANGES}[way](plane, manifest)

    taken(send(time=moment(hours=-1)))
    taken(send(time=moment(minutes=4)))
    taken(send(immediate=True))
    refused(send(time=moment(minutes=6)), "spec.termination.time: 20", "is in the past, it is 20", "immediate: true")
    refused(send(time="2025-01-31T15:00:00+09:00"), "spec.termination.time: 2025-01-31T15:00:00+09:00 is in the past")
    taken(send(immediate=True, consent={**CONSENT, "acceptedTime": moment(minutes=-4)}))
    refused(
        send(immediate=True, consent={**CONSENT, "acceptedTime": moment(minutes=-6)}),
        "spec.termination.consent.acceptedTime: 20",
        "is in the future, it is 20",
        "give the time at which the consent was given",
    )


@pytest.fixture
def overdue(plane: Plane, calendar: str) -> Iterator[Callable[[str], Answer]]:
    """A client that came back from a backup with a termination that was due a day ago; patches its spec."""
    client = client_org("overdue", namespace=calendar, termination={"time": moment(days=1), "consent": CONSENT})
    client["metadata"]["annotations"] = {"clientorg.dev/restore-org-id": "7k2m9q4xta"}
    plane.do("create", "-f=-", stdin=client)

    def patch(spec: str) -> Answer:
        return plane.run("patch", "clientorgs", "overdue", f"-n={calendar}", "--type=merge", f'-p={{"spec":{spec}}}')

    yield patch
    plane.do("annotate", "clientorgs", "overdue", f"-n={calendar}", "clientorg.dev/confirm-deletion=overdue")
    plane.do("delete", "clientorgs", "overdue", f"-n={calendar}")


def test_dates_that_are_there_already_hold_nothing_up(overdue: Callable[[str], Answer]) -> None:
    """That the client could be restored with them is the fixture; new ones are judged as everybody's."""
    taken(overdue('{"displayName":"Acme Holdings"}'))
    taken(overdue('{"termination":{"consent":{"text":"The contract ends, and all data is deleted."}}}'))
    refused(overdue(f'{{"termination":{{"time":"{moment(days=2)}"}}}}'), "is in the past")
    taken(overdue(f'{{"termination":{{"time":"{moment(days=-2)}"}}}}'))
    taken(overdue('{"termination":null}'))


def test_without_the_servers_times_nothing_is_refused(plane: Plane, calendar: str, old: str) -> None:
    """Who strips them deceives themselves; what the policy cannot know it does not guess."""
    patch = {
        "metadata": {"managedFields": [{}]},
        "spec": {"termination": {"time": "2020-01-01T00:00:00Z", "consent": CONSENT}},
    }

    taken(
        plane.run(
            "patch", "clientorgs", old, f"-n={calendar}", "--type=merge", "--dry-run=server", f"-p={json.dumps(patch)}"
        )
    )


# -- warnings at apply ---------------------------------------------------------------------------------------------


@pytest.fixture
def customer(plane: Plane, agency: str) -> Callable[..., list[str]]:
    """Client acme of 12 users on plan standard; called with a new spec, it says what the owner is warned about."""
    plane.do("create", "-f=-", stdin=billing_plan("other", namespace=agency, billing={"basePoints": 7}))
    plane.do("create", "-f=-", stdin=billing_plan(namespace=agency))
    plane.do("create", "-f=-", stdin=client_org(namespace=agency, contractedUsers=12))

    def warnings(**spec: Any) -> list[str]:
        manifest = client_org(namespace=agency, **{"contractedUsers": 12, **spec})
        lines = plane.as_(OWNER).do("replace", "--dry-run=server", "-f=-", stdin=manifest).warnings
        return [line.partition("binding 'clientorg-client-terms': ")[2] for line in lines if "client-terms" in line]

    until(lambda: warnings(contractedUsers=13), "the API server's cache of plans to have this one")
    return warnings


@pytest.mark.parametrize(
    ("users", "words"),
    [
        (12, ""),
        (13, "12 -> 13 users is 50 points more each period: 1150 instead of 1100 on plan standard"),
        (30, "12 -> 30 users is 900 points more each period: 2000 instead of 1100"),
        (10, "12 -> 10 users is 100 points less each period: 1000 instead of 1100"),
        (0, "12 -> 0 users is 100 points less each period: 1000 instead of 1100"),
        (1_000_000, "is 49999400 points more each period: 50000500 instead of 1100"),
    ],
)
def test_change_of_users_is_told_in_points_and_from_when(
    customer: Callable[..., list[str]], users: int, words: str
) -> None:
    warnings = customer(contractedUsers=users)

    assert len(warnings) == bool(words), warnings
    for warning in warnings:
        assert warning.startswith("spec.contractedUsers: ")
        assert words in warning
        assert warning.endswith(", charged first on the next 25th of the month (Asia/Tokyo)")


def test_change_within_the_included_users_is_not_told(plane: Plane, agency: str, customer: object) -> None:
    plane.do("create", "-f=-", stdin=client_org("ume", namespace=agency, contractedUsers=3))

    changed = client_org("ume", namespace=agency, contractedUsers=10)
    assert plane.as_(OWNER).do("apply", "--server-side", "--force-conflicts", "-f=-", stdin=changed).warnings == []


def test_date_of_the_first_charge_is_that_of_the_status(
    plane: Plane, agency: str, customer: Callable[..., list[str]]
) -> None:
    plane.patch_status(
        "clientorgs", "acme", agency, {"points": {"balance": 5, "nextChargeTime": "2026-12-24T15:00:00Z"}}
    )

    (warning,) = customer(contractedUsers=13)

    assert warning.endswith("charged first at 2026-12-24T15:00:00Z")


@pytest.mark.parametrize(("day", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (31, "31st")])
def test_day_of_the_first_charge_is_the_plans(
    plane: Plane, agency: str, customer: Callable[..., list[str]], day: int, word: str
) -> None:
    patch = f'-p={{"spec":{{"billing":{{"anchorDay":{day}}},"timeZone":"UTC"}}}}'
    plane.do("patch", "orgplans", "standard", f"-n={agency}", "--type=merge", patch)

    until(
        lambda: customer(contractedUsers=13)[0].endswith(f"charged first on the next {word} of the month (UTC)"),
        "the API server's cache to have the new terms",
    )


def test_client_of_a_plan_that_charges_at_once_is_told_so(
    plane: Plane, agency: str, customer: Callable[..., list[str]]
) -> None:
    patch = '-p={"spec":{"billing":{"firstCharge":"Immediate"}}}'
    plane.do("patch", "orgplans", "standard", f"-n={agency}", "--type=merge", patch)

    until(
        lambda: customer(contractedUsers=13)[0].endswith("charged first when it has its licenses"),
        "the API server's cache to have the new terms",
    )


def test_client_over_its_limit_is_told(plane: Plane, agency: str, customer: Callable[..., list[str]]) -> None:
    plane.patch_status("clientorgs", "acme", agency, {"users": {"contracted": 12, "used": 11}})

    assert not any("over its limit" in line for line in customer(contractedUsers=11))
    (limit,) = (line for line in customer(contractedUsers=10) if "over its limit" in line)
    assert limit == (
        "spec.contractedUsers: 10 is below the 11 users that the client has; it is over its limit from the next period "
        "on until users are removed or contracted"
    )
    plane.patch_status("clientorgs", "acme", agency, {"users": {"contracted": 12, "used": 15}})
    assert any("is below the 15 users" in line for line in customer(contractedUsers=13))
    assert customer(contractedUsers=12) == [], "nothing changes"


def test_plan_without_charges_and_operator_bring_no_warning(
    plane: Plane, agency: str, customer: Callable[..., list[str]]
) -> None:
    plane.do("create", "-f=-", stdin=billing_plan("free", namespace=agency, billing=None))
    assert customer(planRef={"name": "free"}, contractedUsers=30) == []
    assert customer(planRef={"name": "missing"}, contractedUsers=30) == []

    patch = ["--type=merge", '-p={"spec":{"contractedUsers":30}}', "--dry-run=server"]
    assert plane.as_(OPERATOR).do("patch", "clientorgs", "acme", f"-n={agency}", *patch).warnings == []


def test_manual_plan_asks_for_the_requester_at_once(plane: Plane, agency: str, customer: object) -> None:
    plane.do("create", "-f=-", stdin=billing_plan("manual", namespace=agency, approval="Manual"))
    anonymous = client_org("ume", namespace=agency, planRef={"name": "manual"})

    def warnings() -> list[str]:
        return plane.as_(OWNER).create(anonymous, dry_run=True).warnings

    until(warnings, "the API server's cache of plans to have this one")
    (warning,) = warnings()
    assert f"spec.requestedBy is missing; set it to {OWNER}" in warning
    anonymous["spec"]["requestedBy"] = OWNER
    assert warnings() == []
