"""The comparison of the operator's rights with what it used, and the search for secrets, can fail (DESIGN rule 11)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.operators import IDENTITY
from tests.security.evidence import collect, forget, gather, leaks
from tests.security.rights import Right, dangerous, held, missing, unused, used
from tests.support.canary import CANARY

RBAC = "rbac.authorization.k8s.io"


def event(verb: str, resource: str, group: str = "", code: int = 200, **more: Any) -> dict[str, Any]:
    """An audit event."""
    reference = {"resource": resource, "apiGroup": group, "name": more.pop("name", "x"), "namespace": "y"}
    return {
        "verb": verb,
        "user": {"username": IDENTITY},
        "objectRef": {name: value for name, value in reference.items() if value},
        "responseStatus": {"code": code},
        **more,
    }


def test_manifests_give_nothing_dangerous() -> None:
    assert dangerous(held()) == []
    assert {right.name for right in held() if right.verb == "bind"} == {
        "clientorg-client-admin",
        "clientorg-client-granter",
        "clientorg-client-viewer",
    }


@pytest.mark.parametrize(
    "right",
    [
        Right("", "*", "get"),
        Right("*", "pods", "get"),
        Right("", "pods", "*"),
        Right(RBAC, "clusterroles", "escalate", "x"),
        Right(RBAC, "clusterroles", "bind"),
        Right("", "users", "impersonate"),
    ],
)
def test_dangerous_right_is_found(right: Right) -> None:
    assert dangerous([right, Right("", "pods", "get")]) == [right]


def test_what_nothing_used_is_found_and_names_count() -> None:
    rights = {Right("", "pods", "get"), Right("", "pods", "list"), Right("", "secrets", "get", "one")}

    uses = {Right("", "pods", "get", "any"), Right("", "secrets", "get", "two")}

    assert unused(rights, uses) == [Right("", "pods", "list"), Right("", "secrets", "get", "one")]


def test_what_was_refused_is_missing_unless_the_manifests_give_it() -> None:
    rights = {Right("", "pods", "get")}

    assert missing(rights, {Right("", "pods", "get", "x"), Right("", "nodes", "list")}) == [Right("", "nodes", "list")]


def test_apply_that_creates_takes_the_right_to_create() -> None:
    assert set(used(event("patch", "configmaps", code=201))) == {
        Right("", "configmaps", "patch", "x"),
        Right("", "configmaps", "create", "x"),
    }
    assert set(used(event("patch", "configmaps"))) == {Right("", "configmaps", "patch", "x")}


def test_rights_that_are_no_requests_are_seen_by_what_they_let_through() -> None:
    binding = event("create", "rolebindings", RBAC, 201, requestObject={"roleRef": {"name": "a-role"}})
    charge = event("create", "pointtransactions", "clientorg.dev", 201, requestObject={"spec": {"kind": "Charge"}})

    assert Right(RBAC, "clusterroles", "bind", "a-role") in set(used(binding))
    assert Right("clientorg.dev", "pointtransactions", "charge", "x") in set(used(charge))
    assert not any(right.verb == "bind" for right in used({**binding, "responseStatus": {"code": 403}}))


def test_subresource_is_a_resource_of_its_own() -> None:
    about = event("patch", "clientorgs", "clientorg.dev")
    about["objectRef"]["subresource"] = "status"

    assert set(used(about)) == {Right("clientorg.dev", "clientorgs/status", "patch", "x")}


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
def test_secret_is_found_as_it_is_and_in_base64_whatever_stands_before_it(before: str) -> None:
    plain = f"login {before}{CANARY} failed".encode()
    coded = b"AUTH " + base64.b64encode(f"{before}{CANARY}\n".encode())

    assert len(list(leaks([plain, coded, b"nothing here"]))) == 2
    assert CANARY not in "".join(leaks([plain]))


def test_evidence_of_several_control_planes_is_judged_together(tmp_path: Path) -> None:
    for number, (verb, text) in enumerate([("get", "fine"), ("list", f"key={CANARY}")]):
        folder = tmp_path / f"plane-{number}"
        folder.mkdir()
        (folder / "audit.log").write_text(
            json.dumps(event(verb, "pods"))
            + "\n"
            + json.dumps(event("get", "nodes", code=403, annotations={"authorization.k8s.io/decision": "forbid"}))
            + "\n"
            + json.dumps({**event("delete", "pods"), "user": {"username": "somebody"}})
            + "\n"
            + json.dumps({**event("get", "pods", code=401), "user": {}})
            + "\n"
        )
        (folder / "operator.log").write_text(text)
        collect(folder / "audit.log", [folder / "operator.log"], tmp_path / "evidence", f"gw{number}")

    uses, refused, found = gather(tmp_path / "evidence")

    assert uses == {Right("", "pods", "get"), Right("", "pods", "list")}
    assert refused == {Right("", "nodes", "get", "x")}
    assert [line.partition(":")[0] for line in found] == ["operator.log"]
    forget(tmp_path / "evidence")
    assert gather(tmp_path / "evidence") == (set(), set(), [])
