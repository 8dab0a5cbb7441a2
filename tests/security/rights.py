"""The operator's rights as the manifests give them, and as the API server's audit log says that they were used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.support.install import MANIFESTS

Json = dict[str, Any]

SELDOM: Final = {
    ("clientorg.dev", "orgplans", "get"): "read again after somebody else wrote it at the same moment",
    ("clientorg.dev", "usagereports", "get"): "read again after somebody else wrote it at the same moment",
    ("clientorg.dev", "orgapprovals", "get"): "read again after somebody else wrote it at the same moment",
    ("clientorg.dev", "pointtransactions", "get"): "read again after somebody else wrote it at the same moment",
    ("clientorg.dev", "subscriptions", "get"): "read again after somebody else wrote it at the same moment",
    ("", "pods", "get"): "read again where a bare pod was made anew at the same moment",
    ("apps", "daemonsets", "patch"): "touched only where its pods are not back by themselves",
}
"""Rights that the operator takes only in a race, which a run may have or not; each with what for."""
FORBIDDEN_VERBS: Final = frozenset({"*", "escalate", "impersonate"})
POSTED: Final = {"Charge": "charge", "Settlement": "settle"}
"""Kind of transaction to the custom verb that an admission policy asks for."""


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource; `name` where the rule has names."""

    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        where = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {where}" + (f" {self.name}" if self.name else "")


def held() -> set[Right]:
    """What the manifests give the operator, each verb on each resource by itself."""
    documents = yaml.safe_load_all((MANIFESTS / "rbac-operator.yaml").read_text(encoding="utf-8"))
    rules = [rule for item in documents if item["kind"] in ("ClusterRole", "Role") for rule in item["rules"]]
    return {
        Right(group, resource, verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def used(event: Json) -> Iterator[Right]:
    """The rights that a request took, as its audit event tells."""
    about = event.get("objectRef")
    if about is None:
        return
    group, verb, name = about.get("apiGroup", ""), event["verb"], about.get("name", "")
    resource = about["resource"] + (f"/{about['subresource']}" if about.get("subresource") else "")
    yield Right(group, resource, verb, name)
    code = event.get("responseStatus", {}).get("code", 0)
    if verb == "patch" and code == 201:  # server-side apply of what was not there asks for `create` too
        yield Right(group, resource, "create", name)
    body = event.get("requestObject") or {}
    if code < 400 and resource == "rolebindings" and "roleRef" in body:
        yield Right("rbac.authorization.k8s.io", "clusterroles", "bind", body["roleRef"]["name"])
    if code < 400 and (resource, verb) == ("pointtransactions", "create"):
        custom = POSTED.get((body.get("spec") or {}).get("kind", ""))
        if custom is not None:
            yield Right(group, resource, custom, name)


def covers(right: Right, use: Right) -> bool:
    """Whether the right is (a part of) what was used."""
    same = (right.group, right.resource, right.verb) == (use.group, use.resource, use.verb)
    return same and right.name in ("", use.name)


def unused(rights: Iterable[Right], uses: Iterable[Right]) -> list[Right]:
    """Rights that nothing used, but for those that only a race takes."""
    taken, given = set(uses), set(rights)
    held_for_races = {right for right in given if (right.group, right.resource, right.verb) in SELDOM}
    return sorted(right for right in given - held_for_races if not any(covers(right, use) for use in taken))


def missing(rights: Iterable[Right], refused: Iterable[Right]) -> list[Right]:
    """What the operator was refused by RBAC, and the manifests do not give it either.

    A test that takes rights away for a while is refused what the manifests give: that is no lack.
    """
    given = set(rights)
    return sorted(use for use in set(refused) if not any(covers(right, use) for right in given))


def dangerous(rights: Iterable[Right]) -> list[Right]:
    """Wildcards, and verbs that give more than they say."""
    return sorted(
        right
        for right in rights
        if right.verb in FORBIDDEN_VERBS
        or "*" in (right.group, right.resource, right.name)
        or (right.verb == "bind" and not right.name)
    )
