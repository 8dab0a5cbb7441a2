"""An API server in memory: what the operator relies on of the real one, and nothing else.

resourceVersions and preconditions, status as a subresource, generations, finalizers, consistent paged lists with
selectors, server-side apply of what nobody else writes, the rules that keep a ledger a ledger, and the history that
watches are fed from.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

import orjson

from clientorg.cluster.resources import (
    BLUEPRINT_RESOURCES,
    CLIENT_ORGS,
    CRON_JOBS,
    DAEMON_SETS,
    JOBS,
    NAMESPACES,
    ORG_APPROVALS,
    ORG_PLANS,
    PODS,
    POINT_TRANSACTIONS,
    QUOTA_POOLS,
    REPLICA_SETS,
    SECRETS,
    STATEFUL_SETS,
    SUBSCRIPTIONS,
    USAGE_REPORTS,
    WORKSPACE_RESOURCES,
    Resource,
)
from clientorg.cluster.rest import APPLY
from clientorg.domain.timestamps import rfc3339
from clientorg.errors import AlreadyExistsError, ConflictError, ForbiddenError, InvalidError, NotFoundError

Json = dict[str, Any]
Key = tuple[str, str, str]
"""Plural, namespace (empty for none) and name."""

_OURS = {
    resource.plural: resource
    for resource in (
        CLIENT_ORGS,
        QUOTA_POOLS,
        ORG_PLANS,
        USAGE_REPORTS,
        ORG_APPROVALS,
        POINT_TRANSACTIONS,
        SUBSCRIPTIONS,
    )
}
_WORKLOADS = (PODS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS, CRON_JOBS)
_OTHERS = (*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES, *_WORKLOADS, SECRETS)
_KINDS = _OURS | {resource.plural: resource for resource in _OTHERS}


def merged(document: Any, patch: Any) -> Any:
    """The document with a JSON merge patch applied (RFC 7386 section 2, to the letter)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@dataclass(frozen=True)
class WatchEvent:
    """One change."""

    version: int
    key: Key
    type: str
    manifest: bytes

    @property
    def plural(self) -> str:
        """The kind's plural."""
        return self.key[0]

    def decoded(self) -> Json:
        """The object as it was sent."""
        return orjson.loads(self.manifest)  # type: ignore[no-any-return]


@dataclass
class MemoryServer:
    """The API server. `now` gives the time for creationTimestamp.

    What it gives out is its own; to be read, not changed.
    """

    now: Callable[[], datetime]
    objects: dict[Key, Json] = field(default_factory=dict)
    history: list[WatchEvent] = field(default_factory=list)
    version: int = 100
    writes: int = 0
    """How many requests changed something."""
    _uids: int = 0
    _snapshots: dict[str, list[Json]] = field(default_factory=dict)

    # -- for tests ----------------------------------------------------------------------------------------------

    def create(self, resource: Resource, manifest: Json) -> Json:
        """A user creates an object."""
        return self._create(resource, manifest["metadata"].get("namespace", ""), manifest)

    def edit(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """A user edits the object itself."""
        return self._merge((resource.plural, namespace, name), patch)

    def edit_status(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Somebody edits the status."""
        return self._merge((resource.plural, namespace, name), {"status": patch}, "status")

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """A user deletes an object."""
        self._delete((resource.plural, namespace, name), {})

    def remove_past_finalizers(self, resource: Resource, namespace: str, name: str) -> None:
        """Somebody's deletion that looked for finalizers before one was put on: the real server looks once."""
        self._drop((resource.plural, namespace, name))

    def found(self, resource: Resource, namespace: str = "") -> list[Json]:
        """The objects of a kind, by name."""
        keys = sorted(key for key in self.objects if key[0] == resource.plural and key[1] == namespace)
        return [self.objects[key] for key in keys]

    def one(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """An object."""
        return self.objects.get((resource.plural, namespace, name))

    def snapshot(self, version: int) -> dict[Key, Json]:
        """The objects as they were at that version."""
        state: dict[Key, WatchEvent] = {}
        for event in self.history:
            if event.version > version:
                break
            if event.type == "DELETED":
                state.pop(event.key, None)
            else:
                state[event.key] = event
        return {key: event.decoded() for key, event in state.items()}

    def since(self, version: int) -> list[WatchEvent]:
        """What happened after that version."""
        return self.history[bisect_right(self.history, version, key=attrgetter("version")) :]

    def has_dying_namespaces(self) -> bool:
        """Whether a namespace is being deleted."""
        return bool(self._dying())

    def finish_namespaces(self) -> bool:
        """What the namespace controller does: empty the namespaces that are being deleted, and let them go."""
        dying = self._dying()
        for namespace in dying:
            for key in [key for key in self.objects if key[1] == namespace[2]]:
                self._drop(key)
            self._drop(namespace)
        return bool(dying)

    def _dying(self) -> list[Key]:
        return [
            key
            for key, manifest in self.objects.items()
            if key[0] == NAMESPACES.plural and "deletionTimestamp" in manifest["metadata"]
        ]

    # -- requests -----------------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, params: dict[str, str], body: Any, content_type: str) -> Json:
        """Answer one request.

        Raises:
            ApiError: as the real server would refuse it.
        """
        key, subresource = _parse(path)
        resource = _KINDS[key[0]]
        if method == "GET":
            return self._get(key) if key[2] else self._list(resource, key[1], params)
        if method == "POST":
            return self._create(resource, key[1], body)
        if method == "DELETE":
            return self._delete(key, body or {})
        if method == "PATCH" and content_type != APPLY:
            return self._merge(key, body, subresource)
        return self._apply(resource, key, body)

    def _get(self, key: Key) -> Json:
        if key not in self.objects:
            raise NotFoundError(404, "NotFound", f"{key[0]} {key[2]!r} not found")
        return self.objects[key]

    def _list(self, resource: Resource, namespace: str, params: dict[str, str]) -> Json:
        token = params.get("continue")
        if token is None:
            field_name, sign, value = re.split(r"(!?=|$)", params.get("fieldSelector", ""), maxsplit=1)
            labels = [pair.partition("=") for pair in params.get("labelSelector", "").split(",") if pair]
            items = [
                self.objects[key]
                for key in sorted(self.objects)
                if key[0] == resource.plural
                and (not namespace or key[1] == namespace)
                and (not field_name or (_field(self.objects[key], field_name) == value) == (sign == "="))
                and all(self.objects[key]["metadata"].get("labels", {}).get(name) == want for name, _, want in labels)
            ]
            token = f"{self.version}:0"
            self._snapshots[token] = items
        items = self._snapshots.pop(token)
        version, _, offset = token.partition(":")
        size = int(params["limit"])
        metadata = {"resourceVersion": version}
        if len(items) > size:
            metadata["continue"] = f"{version}:{int(offset) + size}"
            self._snapshots[metadata["continue"]] = items[size:]
        return {"kind": f"{resource.kind}List", "metadata": metadata, "items": items[:size]}

    def _create(self, resource: Resource, namespace: str, manifest: Json) -> Json:
        key = (resource.plural, namespace, manifest["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExistsError(409, "AlreadyExists", f"{key[0]} {key[2]!r} already exists")
        self._uids += 1
        metadata = {
            **manifest["metadata"],
            "uid": f"uid-{self._uids}",
            "creationTimestamp": rfc3339(self.now()),
            "generation": 1,
            **({"namespace": namespace} if namespace else {}),
        }
        status = {"status": {"observedGeneration": -1}} if resource.plural in _OURS else {}
        envelope = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        return self._store(key, {**manifest, **envelope, **status}, "ADDED")

    def _merge(self, key: Key, patch: Json, subresource: str | None = None) -> Json:
        before = self._get(key)
        self._check_version(before, patch)
        if subresource == "status":
            after = {**before, "status": merged(before.get("status"), patch["status"])}
        else:
            after = merged(before, {name: value for name, value in patch.items() if name != "status"})
        after["metadata"] = {**after["metadata"], "resourceVersion": before["metadata"]["resourceVersion"]}
        if not after["metadata"].get("finalizers"):
            after["metadata"].pop("finalizers", None)
        return self._update(key, before, after)

    def _apply(self, resource: Resource, key: Key, manifest: Json) -> Json:
        """Server-side apply, or replace, of an object that we alone write."""
        before = self.objects.get(key)
        if before is None:
            return self._create(resource, key[1], manifest)
        self._check_version(before, manifest)
        metadata = dict(before["metadata"])
        for part in ("labels", "annotations"):
            metadata[part] = manifest["metadata"].get(part, {})
        return self._update(key, before, {**manifest, "metadata": metadata})

    def _check_version(self, before: Json, patch: Json) -> None:
        wanted = patch.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != before["metadata"]["resourceVersion"]:
            raise ConflictError(
                409, "Conflict", "the object has been modified; apply your changes to the latest version"
            )

    def _update(self, key: Key, before: Json, after: Json) -> Json:
        if after == before:
            return before
        _check_rules(key[0], before, after)
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] += 1
        if "deletionTimestamp" in after["metadata"] and not after["metadata"].get("finalizers"):
            return self._drop(key, after)
        return self._store(key, after, "MODIFIED")

    def _delete(self, key: Key, options: Json) -> Json:
        before = self._get(key)
        uid = options.get("preconditions", {}).get("uid")
        if uid is not None and uid != before["metadata"]["uid"]:
            raise ConflictError(409, "Conflict", f"the UID in the precondition ({uid}) is another's")
        if "deletionTimestamp" in before["metadata"]:
            return before
        if key[0] == POINT_TRANSACTIONS.plural and _phase(before) == "Posted":
            raise ForbiddenError(403, "Forbidden", f"transaction {key[2]} is posted: it is an entry of the ledger")
        if not before["metadata"].get("finalizers") and key[0] != NAMESPACES.plural:
            return self._drop(key)
        metadata = {**before["metadata"], "deletionTimestamp": rfc3339(self.now())}
        metadata["generation"] += 1
        return self._store(key, {**before, "metadata": metadata}, "MODIFIED")

    def _drop(self, key: Key, last: Json | None = None) -> Json:
        manifest = self._store(key, last or self.objects[key], "DELETED")
        del self.objects[key]
        return manifest

    def _store(self, key: Key, manifest: Json, event: str) -> Json:
        self.version += 1
        self.writes += 1
        manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(self.version)}}
        self.objects[key] = manifest
        self.history.append(WatchEvent(self.version, key, event, orjson.dumps(manifest)))
        return manifest


def _parse(path: str) -> tuple[Key, str | None]:
    """Plural, namespace and name of a path, and the subresource."""
    parts = urlsplit(path).path.split("/")[1:]
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return (plural, namespace, name), subresource or None


def _field(manifest: Json, path: str) -> Any:
    """The value at a path; empty where nothing is, as the real server has it for fields of our kinds."""
    value: Any = manifest
    for name in path.split("."):
        value = value.get(name, "")
        if value == "":
            break
    return value


def _check_rules(plural: str, before: Json, after: Json) -> None:
    """The transition rules of the CRDs that the ledger rests on (crds/)."""
    refusal = None
    old, new = before.get("status") or {}, after.get("status") or {}
    if plural == POINT_TRANSACTIONS.plural:
        if after["spec"] != before["spec"]:
            refusal = "spec: immutable, because it is an entry of the ledger"
        elif _phase(before) == "Posted" and (_phase(after), new.get("entry")) != ("Posted", old.get("entry")):
            refusal = "status: a posted transaction stays posted"
    elif plural == CLIENT_ORGS.plural:
        has_ended = bool((old.get("termination") or {}).get("executedTime"))
        if after["spec"]["poolRef"] != before["spec"]["poolRef"]:
            refusal = "spec.poolRef: immutable"
        elif has_ended and after["spec"].get("termination") != before["spec"].get("termination"):
            refusal = "spec.termination: has run"
    if refusal is not None:
        raise InvalidError(422, "Invalid", refusal)


def _phase(manifest: Json) -> str | None:
    return (manifest.get("status") or {}).get("phase")
