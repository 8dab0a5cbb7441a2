"""Agencies, clients, pools and plans as tests speak of them: verbs that read like sentences, each with a deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import httpx

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION, ANNOTATION_RECONCILE
from clientorg.cluster.resources import (
    CLIENT_ORGS,
    EVENTS,
    NAMESPACES,
    ORG_PLANS,
    QUOTA_POOLS,
    USAGE_REPORTS,
    Resource,
)
from clientorg.domain.timestamps import rfc3339
from tests.controlplane.waiting import DeadlineExceededError, wait_until
from tests.support import builders
from tests.support.kstatus import KStatus, kstatus
from tests.support.kube import Kube, RefusedError

Json = dict[str, Any]

DEADLINE_SECONDS: Final = 60.0
"""For everything that takes well under a second on an idle machine; a busy one may take a hundred times that."""
GONE_SECONDS: Final = 120.0
"""A namespace takes Kubernetes at least 5 s to remove."""


def expect_never(predicate: Callable[[], object], seconds: float, what: str) -> None:
    """Fail as soon as the predicate is truthy; return after so many seconds in which it never was."""
    try:
        seen = wait_until(lambda: predicate() or None, seconds, what)
    except DeadlineExceededError:
        return
    raise AssertionError(f"{what}: {seen!r}")


def expect_tidy(kube: Kube) -> None:
    """Wait until what earlier tests left behind is gone, for a test that looks at everything the operator does."""

    def is_tidy() -> bool:
        return not any("deletionTimestamp" in item["metadata"] for item in kube.list_all(NAMESPACES))

    wait_until(is_tidy, GONE_SECONDS, "the agencies of earlier tests to be gone")


class Handle:
    """One object on the API server, read anew each time it is asked."""

    resource: Resource

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self.kube = kube
        self.namespace = namespace
        self.name = name

    def __repr__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}"

    def read(self) -> Json:
        """The object as it is now."""
        return self.kube.get(self.resource, self.name, self.namespace)

    def find(self) -> Json | None:
        """The object as it is now; None when it is gone."""
        return self.kube.find(self.resource, self.name, self.namespace)

    @property
    def status(self) -> Json:
        """The status as it is now."""
        status: Json = self.read().get("status", {})
        return status

    @property
    def uid(self) -> str:
        """The object's UID."""
        return str(self.read()["metadata"]["uid"])

    def condition(self, kind: str) -> Json:
        """The condition of that type; empty when there is none."""
        return condition_of(self.read(), kind)

    def edit(self, **spec: Any) -> Json:
        """Change fields of the spec (a merge patch; None removes)."""
        return self.kube.merge(self.resource, self.name, {"spec": spec}, self.namespace)

    def annotate(self, annotations: Mapping[str, str | None]) -> Json:
        """Set or, with None, remove annotations."""
        return self.kube.merge(self.resource, self.name, {"metadata": {"annotations": annotations}}, self.namespace)

    def label(self, labels: Mapping[str, str | None]) -> Json:
        """Set or, with None, remove labels."""
        return self.kube.merge(self.resource, self.name, {"metadata": {"labels": labels}}, self.namespace)

    def ask_for_reconcile(self, when: str = "now") -> None:
        """Ask for a full pass, as the messages advise."""
        self.annotate({ANNOTATION_RECONCILE: when})

    def delete(self) -> None:
        """Ask for the deletion, unconfirmed."""
        self.kube.delete(self.resource, self.name, self.namespace)

    def delete_confirmed(self) -> None:
        """Confirm, then ask for the deletion."""
        self.annotate({ANNOTATION_CONFIRM_DELETION: self.name})
        self.delete()

    def expect(
        self, predicate: Callable[[Json], object], what: str, deadline_seconds: float = DEADLINE_SECONDS
    ) -> Json:
        """Wait until the object satisfies the predicate, and return it. An unreachable server counts as not yet."""
        seen: list[Json] = [{}]

        def holds() -> Json | None:
            seen[0] = self.read()
            return seen[0] if predicate(seen[0]) else None

        try:
            return wait_until(holds, deadline_seconds, f"{self!r} to {what}", ignore=(httpx.TransportError,))
        except DeadlineExceededError as error:
            raise AssertionError(f"{error}\nstatus: {seen[0].get('status')}") from error

    def expect_condition(self, kind: str, status: str, reason: str, *words: str) -> Json:
        """Wait for a condition with this status and reason for the present spec; its message has all the words."""

        def holds(manifest: Json) -> bool:
            found = condition_of(manifest, kind)
            return (
                (found.get("status"), found.get("reason")) == (status, reason)
                and found["observedGeneration"] == manifest["metadata"]["generation"]
                and all(word in found["message"] for word in words)
            )

        return condition_of(self.expect(holds, f"have {kind}={status} ({reason}) with {words}"), kind)

    def expect_ready(self, deadline_seconds: float = DEADLINE_SECONDS) -> Json:
        """Wait until it is Ready for its present spec; returns the object."""
        return self.expect(lambda it: kstatus(it) is KStatus.CURRENT and is_ready(it), "be Ready", deadline_seconds)

    def expect_stalled(self, reason: str, *words: str) -> Json:
        """Wait until it is Stalled for this reason, with these words in the message."""
        return self.expect_condition("Stalled", "True", reason, *words)

    def expect_gone(self, deadline_seconds: float = GONE_SECONDS) -> None:
        """Wait until the API server does not know it any more."""
        wait_until(lambda: self.find() is None, deadline_seconds, f"{self!r} to be gone")

    def events(self) -> list[Json]:
        """The Events about this very object, oldest first."""
        uid = self.uid
        found = self.kube.list_all(EVENTS, self.namespace, fieldSelector=f"regarding.uid={uid}")
        return sorted(found, key=lambda event: str(event["eventTime"]))


class Client(Handle):
    """A ClientOrg."""

    resource = CLIENT_ORGS

    @property
    def workspace(self) -> str:
        """Namespace of the workspace, as status tells."""
        return str(self.status["workspace"]["namespace"])

    @property
    def org_id(self) -> str:
        """The Org ID, as status tells."""
        return str(self.status["orgID"])

    @property
    def granted(self) -> dict[str, int]:
        """License to quantity held."""
        return granted_of(self.read())

    def ask_for(self, **licenses: int) -> None:
        """Change the licenses that the spec asks for."""
        self.edit(licenses=license_items(licenses))

    def expect_granted(self, **licenses: int) -> Json:
        """Wait until it holds exactly this."""
        return self.expect(lambda it: granted_of(it) == licenses, f"hold {licenses}")

    def expect_pending(self, position: int, *words: str) -> Json:
        """Wait until it waits at this place in the queue, with these words in the message."""

        def waits(manifest: Json) -> bool:
            found = condition_of(manifest, "LicensesAllocated")
            return (
                found.get("reason") == "QuotaPending"
                and manifest["status"].get("pending", {}).get("position") == position
                and all(word in found["message"] for word in words)
            )

        return self.expect(waits, f"wait at position {position} with {words}")

    @property
    def used(self) -> dict[str, int]:
        """License to quantity used, where somebody reported."""
        return used_of(self.read())

    @property
    def outbox(self) -> list[Json]:
        """The messages, oldest first."""
        return list(self.status.get("outbox", []))

    def expect_used(self, **licenses: int) -> Json:
        """Wait until exactly this is used."""
        return self.expect(lambda it: used_of(it) == licenses, f"have used {licenses}")

    def expect_state(self, state: str, *pause_reasons: str) -> Json:
        """Wait until it is in this state, for these reasons, with its present spec answered and nothing under way."""

        def holds(manifest: Json) -> bool:
            status = manifest["status"]
            found = (status.get("state"), tuple(status.get("pauseReasons", ())))
            return found == (state, pause_reasons) and kstatus(manifest) is KStatus.CURRENT

        return self.expect(holds, f"be {state} {pause_reasons}")

    def expect_state_of(self, state: str) -> Json:
        """Wait until status says this state of its present spec, be something under way or not."""

        def holds(manifest: Json) -> bool:
            status = manifest.get("status") or {}
            return (status.get("state"), status.get("observedGeneration")) == (
                state,
                manifest["metadata"]["generation"],
            )

        return self.expect(holds, f"be {state}")

    def expect_message(self, kind: str, **params: str) -> Json:
        """Wait until the outbox has a message of that kind with these params; returns the entry."""

        def found(manifest: Json) -> bool:
            return bool(messages_of(manifest, kind, **params))

        return messages_of(self.expect(found, f"have a message {kind} {params}"), kind, **params)[0]

    def child(self, resource: Resource, name: str) -> Json:
        """An object of the workspace."""
        return self.kube.get(resource, name, self.workspace)

    def has(self, resource: Resource, name: str) -> bool:
        """Whether the workspace has the object."""
        return self.kube.find(resource, name, self.workspace) is not None

    def expect_child(self, resource: Resource, name: str, holds: Callable[[Json], object] = bool) -> Json:
        """Wait until the workspace has the object, and it satisfies the predicate; returns it."""
        workspace = self.workspace

        def found() -> Json | None:
            child = self.kube.find(resource, name, workspace)
            return child if child is not None and holds(child) else None

        return wait_until(found, DEADLINE_SECONDS, f"{resource.kind} {name} of {self!r} to be as expected")

    def expect_no_child(self, resource: Resource, name: str) -> None:
        """Wait until the workspace does not have the object."""
        wait_until(lambda: not self.has(resource, name), DEADLINE_SECONDS, f"{resource.kind} {name} to be gone")


class Pool(Handle):
    """A QuotaPool."""

    resource = QUOTA_POOLS

    def stock(self, **licenses: int) -> None:
        """Change what the agency owns."""
        self.edit(licenses=license_items(licenses))

    def books(self, license: str = "visitors") -> Json:
        """The books of one license."""
        return next((item for item in self.status.get("licenses", []) if item["name"] == license), {})

    def expect_allocated(self, **licenses: int) -> Json:
        """Wait until exactly this is allocated and nothing is in flight."""

        def holds(manifest: Json) -> bool:
            items = manifest["status"].get("licenses", [])
            found = {item["name"]: item["allocated"] for item in items if item["name"] in licenses}
            return found == licenses and not manifest["status"].get("inFlight")

        return self.expect(holds, f"have {licenses} allocated and nothing in flight")


class Report(Handle):
    """A UsageReport."""

    resource = USAGE_REPORTS

    def say(self, observed: datetime, **licenses: int) -> None:
        """Count on: these totals were true at that time."""
        self.edit(observedTime=rfc3339(observed), meters=builders.meters(licenses))


class Plan(Handle):
    """An OrgPlan."""

    resource = ORG_PLANS

    def set(self, **spec: Any) -> None:
        """Change fields of the spec, and wait until the operator has them: events of two kinds come in any order."""
        self.edit(**spec)
        self.expect_ready()

    def change(self, **workspace: Any) -> None:
        """Write spec.workspace anew: what is not given has its default."""
        self.kube.set_field(self.resource, self.name, "/spec/workspace", workspace, self.namespace)


class Agency:
    """An agency's namespace with a pool of 1,000 visitors and a plan without extras."""

    def __init__(self, kube: Kube, name: str) -> None:
        self.kube = kube
        self.name = name
        self.pool = Pool(kube, name, "pool")
        self.plan = Plan(kube, name, "standard")

    def open(self) -> None:
        """Create the namespace, the pool and the plan."""
        for manifest in (builders.namespace(self.name), builders.pool(self.name), builders.plan(self.name)):
            self.kube.create(manifest)

    def create(self, manifest: Json) -> Json:
        """Create an object."""
        return self.kube.create(manifest)

    def client(self, name: str = "acme", **fields: Any) -> Client:
        """Create a client (see builders.client); by default it asks for 10 visitors."""
        self.kube.create(builders.client(self.name, name, **fields))
        return Client(self.kube, self.name, name)

    def ready_client(self, name: str = "acme", **fields: Any) -> Client:
        """Create a client and wait until it is Ready."""
        client = self.client(name, **fields)
        client.expect_ready()
        return client

    def report(self, org_id: str, observed: datetime, name: str = "usage", source: str = "", **licenses: int) -> Report:
        """Create a report of what a client has used so far, by default of the source `default`."""
        self.kube.create(builders.report(self.name, org_id, observed, name, source, **licenses))
        return Report(self.kube, self.name, name)

    def clients(self, count: int, prefix: str = "client", **fields: Any) -> list[Client]:
        """Create so many clients, in order."""
        return [self.client(f"{prefix}-{number:03d}", **fields) for number in range(count)]

    def new_pool(self, name: str, **licenses: int) -> Pool:
        """Create another pool."""
        self.kube.create(builders.pool(self.name, name, **licenses))
        return Pool(self.kube, self.name, name)

    def new_plan(self, name: str, **workspace: Any) -> Plan:
        """Create another plan."""
        self.kube.create(builders.plan(self.name, name, **workspace))
        return Plan(self.kube, self.name, name)

    def list_clients(self) -> list[Json]:
        """All clients as they are now."""
        return self.kube.list_all(CLIENT_ORGS, self.name)

    def close(self) -> None:
        """Confirm and ask for the deletion of everything; does not wait."""
        annotations = {ANNOTATION_CONFIRM_DELETION: self.name}
        try:
            self.kube.merge(NAMESPACES, self.name, {"metadata": {"annotations": annotations}})
            self.kube.delete(NAMESPACES, self.name)
        except RefusedError as error:
            if error.code != 404:
                raise

    def expect_gone(self) -> None:
        """Wait until the namespace, and with it everything of the agency, is gone."""
        wait_until(lambda: self.kube.find(NAMESPACES, self.name) is None, GONE_SECONDS, f"{self.name} to be gone")

    def expect_all_ready(self, clients: Iterable[Client], deadline_seconds: float = DEADLINE_SECONDS) -> list[Json]:
        """Wait until all of them are Ready; one list a look, however many they are."""
        names = {client.name for client in clients}

        def ready() -> list[Json] | None:
            found = [item for item in self.list_clients() if item["metadata"]["name"] in names and is_ready(item)]
            return found if len(found) == len(names) else None

        return wait_until(ready, deadline_seconds, f"{len(names)} clients of {self.name} to be Ready")

    def expect_balanced(self, license: str = "visitors") -> int:
        """Wait until the books agree with what the clients hold, nothing in flight; returns what is allocated."""

        def agree() -> tuple[int] | None:
            held = sum(granted_of(item).get(license, 0) for item in self.list_clients())
            status = self.pool.status
            books: Json = next((item for item in status.get("licenses", []) if item["name"] == license), {})
            return (held,) if books.get("allocated") == held and not status.get("inFlight") else None

        return wait_until(agree, DEADLINE_SECONDS, f"the books of {self.name} to agree with its clients")[0]


def condition_of(manifest: Json, kind: str) -> Json:
    """The condition of that type; empty when there is none."""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == kind), {})


def is_ready(manifest: Json) -> bool:
    """Whether the object is Ready, and that for its present spec."""
    found = condition_of(manifest, "Ready")
    return found.get("status") == "True" and found["observedGeneration"] == manifest["metadata"]["generation"]


def granted_of(manifest: Json) -> dict[str, int]:
    """License to quantity held."""
    return {item["name"]: item["granted"] for item in (manifest.get("status") or {}).get("licenses") or []}


def used_of(manifest: Json) -> dict[str, int]:
    """License to quantity used, where somebody reported."""
    licenses = (manifest.get("status") or {}).get("licenses") or []
    return {item["name"]: item["used"] for item in licenses if "used" in item}


def messages_of(manifest: Json, kind: str, **params: str) -> list[Json]:
    """The messages of that kind in the outbox, with these params."""
    return [
        entry
        for entry in (manifest.get("status") or {}).get("outbox") or []
        if entry["kind"] == kind and params.items() <= entry["params"].items()
    ]


def license_items(licenses: Mapping[str, int]) -> list[Json]:
    """Licenses as a spec lists them."""
    return [{"name": name, "quantity": quantity} for name, quantity in licenses.items()]
