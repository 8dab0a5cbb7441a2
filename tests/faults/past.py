"""A restart into the past: lists and watches tell of an earlier moment, as from an API server that lags behind.

Before each write that destroys, charges or releases, the operator is killed, and the next process is shown everything
as it was when the story began. What it reads by name, and within one namespace to be sure, is the newest: that much
Kubernetes promises. When it has done all that it would do on that knowledge, the present reaches it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from clientorg.api.meta import LABEL_ORG_ID
from clientorg.cluster.resources import BLUEPRINT_RESOURCES, CLIENT_ORGS, WORKSPACE_RESOURCES
from clientorg.control.keys import RESOURCES
from tests.faults.meddling import Meddler
from tests.faults.recording import Kill, Position, Record
from tests.faults.stage import Stage
from tests.faults.stories import STORIES
from tests.faults.telling import BRIEF_SECONDS, Result, Telling, result_of, tell
from tests.support.kube import Json, Kube

_OURS: Final = tuple(RESOURCES.values())
_CHILDREN: Final = tuple(dict.fromkeys((*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES)))
VIEWS: Final = {"clients": (CLIENT_ORGS,), "agency": _OURS, "everything": (*_OURS, *_CHILDREN)}
"""What is seen as it was; of the rest the present is seen."""
DESTRUCTIVE: Final = {
    "reallocate": ("licenses", "books"),
    "purge": ("purge begins", "delete namespaces", "purged"),
    "billing": ("charge", "books", "posted"),
    "terminate": ("charge", "contract ends", "settlement"),
    "delete": ("delete namespaces", "settlement", "release"),
}
"""Of each story, what must not be done on old knowledge."""
_DONE: Final = ("purged", "release")
"""After these the operator is killed: who is purged or gone must not be taken for one who lacks a workspace."""


class Past(Meddler):
    """Lists as they were when this was made, and no events, for the second process until `arrive`."""

    def __init__(self, kube: Kube, view: str) -> None:
        self._is_over = False
        self._pages: dict[str, Json] = {}
        for resource in VIEWS[view]:
            selector = {"labelSelector": LABEL_ORG_ID} if resource in _CHILDREN else {}
            self._pages[resource.path()] = kube.request("GET", resource.path(), **selector)

    def arrive(self) -> None:
        """The present reaches the operator."""
        self._is_over = True

    def arrive_after_work(self, stage: Stage) -> None:
        """The present reaches the operator when it has done all that it would do."""
        stage.expect_no_work()
        self.arrive()

    def page(self, record: Record, payload: bytes) -> bytes:
        """The list as it was."""
        if not self._is_past(record):
            return payload
        page = self._pages[record.path]
        return json.dumps({**page, "items": []} if "fieldSelector" in record.query else page).encode()

    def holds(self, record: Record) -> bool:
        """What happened since is not told."""
        return self._is_past(record)

    def _is_past(self, record: Record) -> bool:
        return not self._is_over and record.process > 1 and record.path in self._pages


@dataclass(frozen=True, slots=True)
class Return:
    """One run: a story, the write before which the operator is killed, and what it sees as it was afterwards."""

    story: str
    gist: str
    view: str

    def __str__(self) -> str:
        return f"past/{self.story}/{self.gist.replace(' ', '-')}/{self.view}"

    def run(self, stage: Stage, undisturbed: Telling | None, quiet_seconds: float) -> Result:
        """Tell the story, with the past in it."""
        assert undisturbed is not None

        def remember() -> None:
            past = stage.proxy.meddler = Past(stage.kube, self.view)
            stage.on_restart = lambda: past.arrive_after_work(stage)

        try:
            kill = Kill(0, Position.COMMITTED if self.gist in _DONE else Position.BEFORE, self.gist)
            told = tell(stage, STORIES[self.story], kill, min(quiet_seconds, BRIEF_SECONDS), remember)
        finally:
            stage.on_restart, stage.proxy.meddler = lambda: None, Meddler()
        return result_of(self, undisturbed, told, reached=told.processes > 1)


def returns(story: str) -> list[Return]:
    """The plans of a story."""
    return [Return(story, gist, view) for gist in DESTRUCTIVE.get(story, ()) for view in VIEWS]
