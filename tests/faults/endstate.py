"""What is left of a story, made comparable with another telling of it.

Dates of the development clock are kept, because a wrong one is a wrong end: only what the wall clock gave is taken out,
and what differs from one cluster object to the next (UIDs, Org IDs, the agency's name).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from clientorg.api.conditions import ConditionType
from clientorg.api.meta import ANNOTATION_OWNER
from clientorg.cluster.resources import (
    CLIENT_ORGS,
    NAMESPACES,
    ORG_APPROVALS,
    ORG_PLANS,
    POINT_TRANSACTIONS,
    QUOTA_POOLS,
    USAGE_REPORTS,
    WORKSPACE_RESOURCES,
)
from clientorg.domain.ledger_audit import audit
from tests.cluster.verbs import Agency, granted_of

Json = dict[str, Any]

_OURS: Final = (CLIENT_ORGS, QUOTA_POOLS, ORG_PLANS, ORG_APPROVALS, POINT_TRANSACTIONS, USAGE_REPORTS)
_METADATA_APART: Final = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink")
_STATUS_APART: Final = ("writer",)
"""Which process wrote the books last."""
_PASSING: Final = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.WORKSPACE_READY)
_OF_KUBERNETES: Final = {("ConfigMap", "kube-root-ca.crt")}
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


class EndState:
    """Everything of an agency and its workspaces, by kind and name.

    Attributes:
        objects: `Kind/name`, of a workspace `Kind/workspace/name`, to the normalized object.
        problems: invariants that do not hold: the ledger's audit and the pool's sums.
    """

    def __init__(self, agency: Agency, began: datetime) -> None:
        self.problems: list[str] = []
        self._org_ids: dict[str, str] = {}
        self._agency = agency.name
        self._wall = (began - timedelta(seconds=2), datetime.now(UTC) + timedelta(seconds=2))
        kube = agency.kube
        ours = {resource: kube.list_all(resource, agency.name) for resource in _OURS}
        for client in ours[CLIENT_ORGS]:
            self._learn(client["metadata"]["name"], (client.get("status") or {}).get("orgID"))
        for entry in ours[POINT_TRANSACTIONS]:
            account = next((entry["spec"][end] for end in ("from", "to") if entry["spec"][end].startswith("org/")), "")
            self._learn(account.removeprefix("org/"), (entry.get("status") or {}).get("orgID"))
        everything = [(resource.kind, item) for resource, items in ours.items() for item in items]
        for namespace in kube.list_all(NAMESPACES):
            owner = (namespace["metadata"].get("annotations") or {}).get(ANNOTATION_OWNER, "")
            name = namespace["metadata"]["name"]
            if name != agency.name and not owner.startswith(f"{agency.name}/"):
                continue
            everything.append(("Namespace", namespace))
            if name != agency.name:
                for resource in WORKSPACE_RESOURCES:
                    if resource is not NAMESPACES:
                        everything += [(resource.kind, item) for item in kube.list_all(resource, name)]
        self.objects = dict(sorted(self._normalized(kind, item) for kind, item in everything if _counts(kind, item)))
        self._check(ours[POINT_TRANSACTIONS], ours[QUOTA_POOLS], ours[CLIENT_ORGS])

    def differences(self, other: EndState) -> Iterator[str]:
        """Where the other differs from this, one line each."""
        for key in sorted(self.objects.keys() | other.objects.keys()):
            if key not in other.objects:
                yield f"{key}: is missing"
            elif key not in self.objects:
                yield f"{key}: is too much"
            else:
                yield from (f"{key} {line}" for line in differing(self.objects[key], other.objects[key]))

    def _learn(self, name: str, org_id: str | None) -> None:
        if org_id:
            self._org_ids[org_id] = f"<{name}>"

    def _normalized(self, kind: str, item: Json) -> tuple[str, Json]:
        content = {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}
        if kind not in {resource.kind for resource in _OURS}:
            content.pop("status", None)  # the controllers' to write
            content["metadata"] = {key: value for key, value in item["metadata"].items() if key != "generation"}
        content["metadata"] = {key: value for key, value in content["metadata"].items() if key not in _METADATA_APART}
        if "status" in content:
            content["status"] = {key: value for key, value in content["status"].items() if key not in _STATUS_APART}
            if kind == QUOTA_POOLS.kind and "outbox" in content["status"]:
                content["status"]["outbox"] = [_telling(entry) for entry in content["status"]["outbox"]]
            content["status"]["conditions"] = [_lasting(item) for item in content["status"].get("conditions") or ()]
        normalized: Json = self.plain(content)
        place = normalized["metadata"].get("namespace", "").replace("<agency>", "")
        return "/".join(part for part in (kind, place, normalized["metadata"]["name"]) if part), normalized

    def plain(self, value: Any) -> Any:
        """A text, or all texts of a document, without what differs from one telling to the next."""
        if isinstance(value, Mapping):
            return {self.plain(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if not isinstance(value, str):
            return value
        for org_id, sign in self._org_ids.items():
            value = value.replace(org_id, sign)
        value = _UID.sub("<uid>", value.replace(self._agency, "<agency>"))
        return _TIME.sub(lambda match: self._time(match[0]), value)

    def _time(self, text: str) -> str:
        """Of the wall clock, if it lies within the run; kept as it is otherwise."""
        first, last = self._wall
        return "<now>" if first <= datetime.fromisoformat(text) <= last else text

    def _check(self, transactions: list[Json], pools: list[Json], clients: list[Json]) -> None:
        for finding in audit(transactions, pools, clients).findings:
            self.problems.append(f"ledger: {finding.invariant}: {finding.object}: {finding.message}")
        for pool in pools:
            name, status = pool["metadata"]["name"], pool.get("status") or {}
            members = [client for client in clients if client["spec"]["poolRef"]["name"] == name]
            if status.get("inFlight"):
                self.problems.append(f"pool {name}: still in flight: {status['inFlight']}")
            for books in status.get("licenses") or ():
                held = sum(granted_of(client).get(books["name"], 0) for client in members)
                if books["allocated"] != held:
                    self.problems.append(
                        f"pool {name}: {books['allocated']} {books['name']} allocated; its clients hold {held}"
                    )


def _lasting(condition: Json) -> Json:
    """A condition without the time of a transition that is told or not: who is ready again within one pass was never
    seen as not ready, and whose workspace could not be written for a moment was."""
    apart = ("lastTransitionTime",) if condition["type"] in _PASSING else ()
    return {key: value for key, value in condition.items() if key not in apart}


def _telling(entry: Json) -> Json:
    """A message to the agency without the balance that it tells, which is that of the moment in which it was written:
    whoever is held up writes it when the next top-up has been posted already."""
    return {**entry, "params": {key: value for key, value in entry.get("params", {}).items() if key != "balance"}}


def _counts(kind: str, item: Json) -> bool:
    """Whether somebody asked for it; the rest is Kubernetes' own."""
    return (kind, item["metadata"]["name"]) not in _OF_KUBERNETES


def differing(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where two documents differ: path, what was found and what was expected; one line each."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in sorted(expected.keys() | found.keys()):
            yield from differing(expected.get(key), found.get(key), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for place, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differing(one, other, f"{path}[{place}]")
    elif expected != found:
        yield f"{path}: {found!r} instead of {expected!r}"
