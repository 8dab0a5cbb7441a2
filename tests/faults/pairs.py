"""Two operators that are active together, as after a partition in which the election has two winners."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cluster.resources import CLIENT_ORGS
from tests.cluster.verbs import Agency, Client, granted_of, license_items
from tests.controlplane.waiting import wait_until
from tests.faults.endstate import EndState
from tests.faults.stage import Stage
from tests.faults.stories import STORIES
from tests.faults.telling import BRIEF_SECONDS, Result, Telling, result_of, tell

REALLOCATIONS: Final = "reallocations"
CONCURRENT: Final = 200
"""Reallocations at once, in the whole run."""
_HELD, _MOVED = 10, 4
_LICENSES: Final = ("visitors", "seats")
_DEADLINE_SECONDS: Final = 600.0
_USERS: Final = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """One run: a story, or many reallocations at once."""

    name: str

    def __str__(self) -> str:
        return f"pair/{self.name}"

    @property
    def story(self) -> str:
        """The story that is told, if it is one."""
        return self.name if self.name in STORIES else ""

    def run(self, stage: Stage, undisturbed: Telling | None, quiet_seconds: float) -> Result:
        """Tell it with both operators at work."""
        with stage.doubled() as second:
            if undisturbed is None:
                result = reallocate_at_once(stage, CONCURRENT)
            else:
                told = tell(stage, STORIES[self.name], None, min(quiet_seconds, BRIEF_SECONDS))
                result = result_of(self, undisturbed, told)
            writes = [operator.writes() for operator in (stage.operator, second)]
        result.reached = all(writes)
        result.note = f"{result.note} {writes[1] / sum(writes):.0%} of the writes by the second".strip()
        return result


def reallocate_at_once(stage: Stage, count: int) -> Result:
    """So many clients of a pool that is handed out; each gets of one license what a neighbor gives up, and gives up of
    the other, all at the same time."""
    began = datetime.now(UTC)
    scene = stage.open(has_mail=False)  # one more write for each client would tell nothing of licenses
    try:
        agency = scene.agency
        agency.pool.stock(**dict.fromkeys(_LICENSES, count * _HELD))
        clients = agency.clients(count, licenses=dict.fromkeys(_LICENSES, _HELD))
        agency.expect_all_ready(clients, _DEADLINE_SECONDS)
        with _watched(agency, count * _HELD) as problems, ThreadPoolExecutor(_USERS) as users:
            list(users.map(_move, clients, [clients[place ^ 1] for place in range(count)], range(count)))
            _expect_moved(agency, clients)
        stage.expect_rest()
        end = EndState(agency, began)
        made = stage.recording.created()["namespaces"]
        problems += end.problems
        problems += [f"{made} namespaces made for {count} clients"] if made != count else []
        return Result(f"pair/{REALLOCATIONS}", problems, note=f"{count} at once,")
    finally:
        scene.agency.close()


def _wanted(place: int) -> dict[str, int]:
    gets, gives = _LICENSES if place % 2 else _LICENSES[::-1]
    return {gets: _HELD + _MOVED, gives: _HELD - _MOVED}


def _move(client: Client, neighbor: Client, place: int) -> None:
    """Both halves in one write: more of one license, which the neighbor gives up, and less of the other."""
    wanted = _wanted(place)
    gets = next(name for name, quantity in wanted.items() if quantity > _HELD)
    patch = {
        "metadata": {"annotations": {ANNOTATION_TRANSFER: f"{neighbor.name}/{gets}/{_HELD - _MOVED}/{_HELD + _MOVED}"}},
        "spec": {"licenses": license_items(wanted)},
    }
    client.kube.merge(CLIENT_ORGS, client.name, patch, client.namespace)


def _expect_moved(agency: Agency, clients: list[Client]) -> None:
    wanted = {client.name: _wanted(place) for place, client in enumerate(clients)}

    def moved() -> bool:
        return {item["metadata"]["name"]: granted_of(item) for item in agency.list_clients()} == wanted

    wait_until(moved, _DEADLINE_SECONDS, f"{len(clients)} reallocations to be done")
    agency.expect_all_ready(clients, _DEADLINE_SECONDS)
    agency.pool.expect_allocated(**dict.fromkeys(_LICENSES, len(clients) * _HELD))


@contextmanager
def _watched(agency: Agency, most: int) -> Iterator[list[str]]:
    """Look all the time, and note whenever more is held than there is: a list shows one moment."""
    problems: list[str] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            found = agency.list_clients()
            for license in _LICENSES:
                held = sum(granted_of(item).get(license, 0) for item in found)
                if held > most:
                    problems.append(f"{held} {license} were held of {most}")

    with ThreadPoolExecutor(1) as looking:
        done = looking.submit(look)
        try:
            yield problems
        finally:
            is_over.set()
            done.result()
