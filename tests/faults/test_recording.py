"""What is recorded of requests, and which of them count."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.faults.endstate import differing
from tests.faults.plans import Kind, plan_named, plans_of_none, plans_of_story
from tests.faults.recording import Kill, Position, Record, Recording
from tests.faults.stories import STORIES
from tests.faults.sweep import Crash, crashes

CLIENT = "/apis/clientorg.dev/v1alpha1/namespaces/tokyo/clientorgs/acme/status"
WORKSPACES = "/api/v1/namespaces"


def namespace(name: str, owner: str) -> bytes:
    """A workspace's namespace, as the operator creates it."""
    return json.dumps({"metadata": {"name": name, "annotations": {"clientorg.dev/owner": owner}}}).encode()


def answered(recording: Recording, method: str, path: str, code: int, body: bytes = b"") -> Record:
    """A request that the server answered."""
    record = recording.enter(method, path, "", body)
    record.code = code
    return record


def test_writes_of_the_agency_and_of_its_workspaces_are_numbered() -> None:
    recording = Recording("tokyo")
    requests = [
        ("GET", CLIENT, b""),
        ("PATCH", CLIENT, b"{}"),
        ("PATCH", CLIENT.replace("tokyo", "osaka"), b"{}"),
        ("POST", WORKSPACES, namespace("acme-1", "tokyo/acme")),
        ("POST", WORKSPACES, namespace("beta-2", "osaka/beta")),
        ("PATCH", "/api/v1/namespaces/acme-1/configmaps/portal", b"{}"),
        ("PATCH", "/api/v1/namespaces/beta-2/configmaps/portal", b"{}"),
        ("POST", "/apis/events.k8s.io/v1/namespaces/tokyo/events", b"{}"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/tokyo/leases/clientorg-operator", b"{}"),
        ("PATCH", "/api/v1/namespaces/tokyo", b"{}"),
    ]

    found = [recording.enter(method, path, "", body).write for method, path, body in requests]

    assert found == [None, 1, None, 2, None, 3, None, None, None, 4]
    assert [record.number for record in recording.records] == list(range(1, 11))
    assert recording.records[0].digest == ""
    assert recording.records[1].digest


def test_what_is_made_and_deleted_is_counted_by_kind() -> None:
    recording = Recording("tokyo")
    answered(recording, "POST", WORKSPACES, 201, namespace("acme-1", "tokyo/acme"))
    for name, code in (("portal", 201), ("portal", 200), ("links", 403)):
        answered(recording, "PATCH", f"/api/v1/namespaces/acme-1/configmaps/{name}", code)
    answered(recording, "PATCH", "/api/v1/namespaces/acme-1/serviceaccounts/default", 201)
    for code in (200, 200):
        answered(recording, "DELETE", "/api/v1/namespaces/acme-1", code)
    recording.enter("DELETE", "/api/v1/namespaces/acme-1/configmaps/portal", "", b"")

    assert recording.created() == Counter({"namespaces": 1, "configmaps": 1})
    assert recording.deleted() == Counter({"namespaces": 1})


def test_numbers_begin_anew_and_workspaces_stay_known() -> None:
    recording = Recording("tokyo")
    recording.enter("POST", WORKSPACES, "", namespace("acme-1", "tokyo/acme"))

    recording.restart()

    assert recording.enter("DELETE", "/api/v1/namespaces/acme-1", "", b"").write == 1


def test_every_write_is_killed_at_in_every_position() -> None:
    assert len({str(plan) for plan in crashes("create", 5)}) == 15


@pytest.mark.parametrize(
    "text",
    [
        "create",
        "create/0/before",
        "create/x/before",
        "create/1/during",
        "none/1/before",
        "seed/200",
        "pair/x",
        "past/x",
    ],
)
def test_wrong_name_of_a_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="create/7/committed"):
        plan_named(text)


def test_names_of_plans_are_read_as_they_are_printed() -> None:
    plans = [*plans_of_none(list(Kind)), *(it for story in STORIES for it in plans_of_story(story, 3, list(Kind)))]

    assert [plan_named(str(plan)) for plan in plans] == plans
    assert Crash("create", Kill(3, Position.COMMITTED)) in plans


def test_differences_name_place_found_and_expected() -> None:
    expected = {"status": {"licenses": [{"granted": 10}], "state": "Active"}}
    found = {"status": {"licenses": [{"granted": 11}], "phase": "x"}}

    assert list(differing(expected, found)) == [
        ".status.licenses[0].granted: 11 instead of 10",
        ".status.phase: 'x' instead of None",
        ".status.state: None instead of 'Active'",
    ]
