"""Which clients a list shows, and in what order. What the server can select it selects (FEATURES W4, Z12)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clientorg.cli.rows import ClientRow
from clientorg.cli.text import joined, plain
from clientorg.errors import InputError


@dataclass(frozen=True)
class Selection:
    """The filters of `list`. Several of one kind mean any of them; several tags or words mean all of them."""

    states: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    search: str = ""
    label_selector: str | None = None
    field_selector: str | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether anything is filtered at all."""
        return self != Selection()

    @property
    def server_fields(self) -> str | None:
        """The field selector for the server: it knows no "or", so only filters with one value are its own."""
        parts = [self.field_selector] if self.field_selector else []
        for path, values in (
            ("status.state", self.states),
            ("spec.planRef.name", self.plans),
            ("spec.poolRef.name", self.pools),
        ):
            # "Deleting" begins with the deletion's timestamp, before the operator writes it into the status.
            if len(values) == 1 and values[0] != "Deleting":
                parts.append(f"{path}={values[0]}")
        return ",".join(parts) or None

    def matcher(self) -> Callable[[ClientRow], bool]:
        """A function that says whether a row is wanted."""
        states, plans, pools, tags = set(self.states), set(self.plans), set(self.pools), set(self.tags)
        words = folded(self.search).split()

        def matches(row: ClientRow) -> bool:
            return (
                (not states or row.state in states)
                and (not plans or row.plan in plans)
                and (not pools or row.pool in pools)
                and tags.issubset(row.tags)
                and (not words or _contains(row, words))
            )

        return matches


def _contains(row: ClientRow, words: Sequence[str]) -> bool:
    fields = (row.name, row.display_name, row.organization, row.contact, row.email, row.org_id, *row.tags)
    text = folded("\n".join(fields))
    return all(word in text for word in words)


def folded(text: str) -> str:
    """For comparing as people do: no case, and full-width letters equal to narrow ones."""
    return unicodedata.normalize("NFKC", text).casefold()


def several(values: Iterable[str] | None) -> tuple[str, ...]:
    """Values of a repeatable flag, each of which may hold several with commas between."""
    return tuple(part for value in values or () for part in (p.strip() for p in value.split(",")) if part)


def known_values(flag: str, what: str, values: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Values of a flag in the API's spelling.

    Args:
        what: one of them is called.

    Raises:
        InputError: one is none of the API's.
    """
    by_fold = {value.casefold(): value for value in known}
    unknown = [value for value in values if value.casefold() not in by_fold]
    if unknown:
        raise InputError(f"{flag}: there is no {what} {plain(unknown[0])!r}; it is one of {joined(known, 'or')}")
    return tuple(dict.fromkeys(by_fold[value.casefold()] for value in values))


SORT_KEYS: dict[str, Callable[[ClientRow], Any]] = {
    "name": lambda row: row.name,
    "display-name": lambda row: folded(row.display_name),
    "state": lambda row: row.state,
    "ready": lambda row: row.ready,
    "reason": lambda row: row.reason,
    "plan": lambda row: row.plan,
    "pool": lambda row: row.pool,
    "email": lambda row: row.email.casefold(),
    "created": lambda row: row.created.timestamp() if row.created else 0.0,
    "age": lambda row: -(row.created.timestamp() if row.created else 0.0),
    "granted": lambda row: row.granted,
    "used": lambda row: row.used,
    "remaining": lambda row: row.granted - row.used,
    "percent": lambda row: row.share_used,
    "purge-after": lambda row: row.purge_after.timestamp() if row.purge_after else float("inf"),
    "balance": lambda row: row.balance if row.balance is not None else float("inf"),
    "ends": lambda row: row.ends.timestamp() if row.ends else float("inf"),
    "queue": lambda row: row.queue_position if row.queue_position is not None else float("inf"),
}


def sorter(key: str | None) -> Callable[[list[ClientRow]], list[ClientRow]]:
    """A function that orders rows; `-used` is the other way round. Equal ones stay in the server's order.

    Raises:
        InputError: there is no such column.
    """
    if key is None:
        return lambda rows: rows
    descending = key.startswith("-")
    column = SORT_KEYS.get(key.removeprefix("-"))
    if column is None:
        raise InputError(
            f"--sort-by: there is no column {key!r}; it is one of {joined(SORT_KEYS, 'or')}, with a - before it to "
            "reverse the order"
        )
    return lambda rows: sorted(rows, key=column, reverse=descending)
