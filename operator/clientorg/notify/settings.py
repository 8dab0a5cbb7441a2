"""Where what a message needs is set: in a client's plan or an agency's pool. For errors that say what to correct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Place:
    """An object and the path in it that has the `Notifications`.

    Attributes:
        owner: the object as a person calls it.
        path: of the notifications.
    """

    owner: str
    path: str


IN_PLAN: Final = Place("plan", "spec.notifications")
IN_POOL: Final = Place("pool", "spec.points.notifications")
