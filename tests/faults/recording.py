"""What a recording proxy knows of the requests that went through it."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from clientorg.api.meta import ANNOTATION_OWNER, FINALIZER
from clientorg.api.notifications import DeliveryState
from clientorg.cluster.resources import BLUEPRINT_RESOURCES, CLIENT_ORGS, QUOTA_POOLS, WORKSPACE_RESOURCES
from clientorg.control.keys import RESOURCES
from tests.faults.mails import sent_by
from tests.faults.meddling import Fault

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PLURALS: Final = frozenset(
    resource.plural for resource in (*RESOURCES.values(), *WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES)
)
_WITH_OUTBOX: Final = frozenset({CLIENT_ORGS.plural, QUOTA_POOLS.plural})
_APART: Final = frozenset({"leases", "events"})
"""The election's heartbeat and what is told by the way: nothing is decided from them, and they come when they like."""


class Position(StrEnum):
    """Where at a write the operator is killed."""

    BEFORE = "before"
    """Before the write is forwarded: the server never hears of it."""
    COMMITTED = "committed"
    """After the server has answered, and before the operator has the answer."""
    ANSWERED = "answered"
    """After the answer was passed on."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the operator at the write with this number, counted from 1, or at the first one that does `gist`."""

    write: int
    position: Position
    gist: str = ""

    def hits(self, record: Record) -> bool:
        """Whether this is the write."""
        if record.write is None:
            return False
        return record.gist == self.gist if self.gist else record.write == self.write


@dataclass(slots=True)
class Record:
    """One request.

    Attributes:
        number: its place in the run, counted from 1 over all requests.
        write: its place among the counted writes; None when it is not one.
        process: which of the run's operator processes sent it, counted from 1.
        digest: of its body; empty when there is none.
        gist: what it does that cannot be undone, or that others build on, as `gist_of` names it; mostly empty.
        code: of the server's answer; None while there is none, or when it was not forwarded.
        fault: what the operator got instead of the answer, or at the end of a watch.
    """

    number: int
    write: int | None
    process: int
    method: str
    path: str
    query: str
    digest: str
    gist: str = ""
    code: int | None = None
    fault: Fault | None = None

    def __str__(self) -> str:
        place = f"write {self.write}" if self.write is not None else f"request {self.number}"
        return f"{place}: {self.method} {self.path} -> {self.code or 'no answer'}"

    @property
    def is_write(self) -> bool:
        """Whether it asks for a change."""
        return self.method not in _READS

    @property
    def is_watch(self) -> bool:
        """Whether it is answered by a stream of events."""
        return self.method == "GET" and bool({"watch=true", "watch=1"} & set(self.query.split("&")))

    @property
    def is_list(self) -> bool:
        """Whether it asks for all objects of a kind, be it of one namespace or of all."""
        return self.method == "GET" and not self.is_watch and path_parts(self.path)[-1] in _PLURALS

    @property
    def is_create(self) -> bool:
        """Whether the server made an object for it."""
        return self.is_write and self.code == 201

    @property
    def is_delete(self) -> bool:
        """Whether the server accepted it as a deletion."""
        return self.method == "DELETE" and self.code is not None and self.code < 300


@dataclass(slots=True)
class Recording:
    """The requests of one run, and which of them count: those about one agency and its workspaces.

    A workspace is known by the write that makes its namespace, which names the owner.

    Attributes:
        sent: identity of a mail to when the server accepted the first write by which it was sent, in seconds of the
            monotonic clock.
    """

    agency: str
    records: list[Record] = field(default_factory=list)
    workspaces: set[str] = field(default_factory=set)
    sent: dict[str, float] = field(default_factory=dict)
    process: int = 1
    _writes: int = 0

    def enter(self, method: str, path: str, query: str, body: bytes) -> Record:
        """Take down a request that has come in."""
        made = self._learn(path, body)
        write = None
        if method not in _READS and (made or self.is_about_the_agency(path)):
            self._writes += 1
            write = self._writes
        digest = hashlib.sha256(body).hexdigest()[:16] if body else ""
        gist = gist_of(method, path, body) if write is not None else ""
        record = Record(len(self.records) + 1, write, self.process, method, path, query, digest, gist)
        self.records.append(record)
        return record

    def take_answer(self, record: Record, code: int, payload: bytes) -> None:
        """Take down what the server answered to a request."""
        record.code = code
        if record.write is not None and code < 300 and kind_of(record.path) in _WITH_OUTBOX:
            for identity in sent_by(payload):
                self.sent.setdefault(identity, time.monotonic())

    def is_about_the_agency(self, path: str) -> bool:
        """Whether the path is of the agency's namespace or of one of its workspaces, and nothing that is kept apart."""
        parts = path_parts(path)
        if "namespaces" not in parts:
            return False
        place = parts.index("namespaces")
        namespace = parts[place + 1] if len(parts) > place + 1 else ""
        kind = parts[place + 2] if len(parts) > place + 2 else ""
        return namespace in {self.agency, *self.workspaces} and kind not in _APART

    def restart(self) -> None:
        """Number the writes anew; what is known of workspaces and mails stays."""
        self.records.clear()
        self._writes = 0

    @property
    def writes(self) -> list[Record]:
        """The counted writes, in their order."""
        return [record for record in list(self.records) if record.write is not None]

    def has_done(self, *gists: str) -> list[str]:
        """The writes that did one of these, as far as the server accepted them."""
        return [str(it) for it in self.writes if it.gist in gists and it.code is not None and it.code < 300]

    def created(self) -> Counter[str]:
        """Kind to objects that the server made for the counted writes.

        A namespace's ServiceAccount `default` is left out: Kubernetes makes it too, and either may be first.
        """
        made = [record.path for record in self.writes if record.is_create]
        return Counter(kind_of(path) for path in made if not path.endswith("/serviceaccounts/default"))

    def deleted(self) -> Counter[str]:
        """Kind to objects whose deletion was asked for; asking twice for one object counts once."""
        paths = {record.path for record in self.writes if record.is_delete}
        return Counter(kind_of(path) for path in paths)

    def _learn(self, path: str, body: bytes) -> bool:
        """Whether this writes the namespace of a workspace of the agency; it is remembered then."""
        written = namespace_written(path, body)
        if written is None or not written[1].startswith(f"{self.agency}/"):
            return False
        self.workspaces.add(written[0])
        return True


def namespace_written(path: str, body: bytes) -> tuple[str, str] | None:
    """Name and owner (`agency/client`) of the workspace whose namespace a request writes; None when it does not."""
    parts = path_parts(path)
    if parts[:3] != ["api", "v1", "namespaces"] or len(parts) > 4 or ANNOTATION_OWNER.encode() not in body:
        return None
    metadata = json.loads(body)["metadata"]
    return metadata.get("name") or parts[3], str((metadata.get("annotations") or {}).get(ANNOTATION_OWNER, ""))


def path_parts(path: str) -> list[str]:
    """The segments of a path, decoded."""
    return [unquote(part) for part in path.strip("/").split("/")]


def kind_of(path: str) -> str:
    """The plural of the resource that a request is about, as the path has it."""
    parts = path_parts(path)
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    return rest[0]


def gist_of(method: str, path: str, body: bytes) -> str:
    """What a write does, in a word or two, where that matters; empty otherwise."""
    kind = kind_of(path)
    if method == "DELETE":
        return f"delete {kind}"
    document = json.loads(body) if body.startswith(b"{") else {}
    status, metadata = document.get("status") or {}, document.get("metadata") or {}
    if set(status) == {"outbox"}:
        newest = status["outbox"][-1] if status["outbox"] else {}
        return f"{newest['kind']} sent" if newest.get("mail", {}).get("state") == DeliveryState.SENT else ""
    if kind == "pointtransactions":
        return str(document["spec"]["kind"]).lower() if method == "POST" else str(status.get("phase", "")).lower()
    if kind == "quotapools":
        return "books" if status else ""
    if kind == "namespaces":
        return "workspace" if method == "POST" else ""
    if kind != "clientorgs":
        return ""
    if "finalizers" in metadata:
        return "mark" if FINALIZER in (metadata["finalizers"] or ()) else "release"
    if (status.get("deactivation") or {}).get("purgedTime"):
        return "purged"
    if (status.get("deactivation") or {}).get("purgeStartedTime"):
        return "purge begins"
    if (status.get("termination") or {}).get("executedTime"):
        return "contract ends"
    return "licenses" if "licenses" in status else ""


def described(counts: Counter[str]) -> str:
    """Counts as one line, in order of the kinds."""
    return ", ".join(f"{kind}={count}" for kind, count in sorted(counts.items())) or "none"
