"""What one of several operators on a control plane sees of it, so that they need not know of each other.

An operator serves a whole cluster. Where each has agencies of its own, told by their names, and what it lists and
watches is cut down to them, it is alone in its cluster, as far as it can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from clientorg.api.meta import ANNOTATION_OWNER
from tests.faults.recording import namespace_written

Json = dict[str, Any]


class Scope:
    """The agencies whose names begin alike, and their workspaces.

    Args:
        prefix: of the agencies' names; empty: everything is seen.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._workspaces: set[str] = set()

    def learn(self, path: str, body: bytes) -> None:
        """Take in a request: what the operator writes as the namespace of a workspace is seen from then on."""
        written = namespace_written(path, body)
        if written is not None and written[1].startswith(self._prefix):
            self._workspaces.add(written[0])

    def page(self, payload: bytes) -> bytes:
        """A list, without what is not seen."""
        if not self._prefix:
            return payload
        document = orjson.loads(payload)
        document["items"] = [item for item in document["items"] or () if self.admits(item)]
        return orjson.dumps(document)

    def event(self, line: bytes) -> bool:
        """Whether a watch's event is seen."""
        if not self._prefix:
            return True
        event = orjson.loads(line)
        return event["type"] in ("BOOKMARK", "ERROR") or self.admits(event["object"])

    def admits(self, item: Mapping[str, Any]) -> bool:
        """Whether an object is seen."""
        metadata = item["metadata"]
        namespace = metadata.get("namespace") or metadata["name"]
        if namespace in self._workspaces or namespace.startswith(self._prefix):
            return True
        return str((metadata.get("annotations") or {}).get(ANNOTATION_OWNER, "")).startswith(self._prefix)
