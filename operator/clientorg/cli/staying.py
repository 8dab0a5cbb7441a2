"""Why a client stays paused although nobody wishes it, and what ends that (FEATURES Z6). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clientorg.cli.dates import Calendar, next_period
from clientorg.cli.options import PROGRAM
from clientorg.cli.rows import ClientRow, LicenseRow, client_row, condition
from clientorg.cli.text import number, plain
from clientorg.domain.usage import is_exhausted

Json = dict[str, Any]


def stay_lines(client: Json, pool: Json | None, calendar: Calendar, now: datetime) -> Iterator[str]:
    """Lines for each reason but the wish; none when there is no other."""
    row = client_row(client)
    for reason in row.pause_reasons:
        if reason == "QuotaExhausted":
            yield from exhausted_lines(client, pool, calendar, now)
        elif reason != "Requested":
            message = condition(client, "Paused").get("message") or "see its condition Paused"
            yield f"It stays paused for {reason}: {plain(message)}"
            if reason == "NegativeBalance":
                yield f"  {PROGRAM} points add {row.name} -n {row.namespace} …   # until it is not below zero any more"
            elif reason == "Hold":
                yield f"  {PROGRAM} release {row.name} -n {row.namespace}"


def exhausted_lines(client: Json, pool: Json | None, calendar: Calendar, now: datetime) -> Iterator[str]:
    """What is used up, and the ways to more."""
    row, where = client_row(client), f"-n {client['metadata'].get('namespace', '')}"
    if row.queue_position is not None:
        yield (
            f"It stays paused (QuotaExhausted) until the pool {row.pool} grants what it waits for (position "
            f"{row.queue_position}); who holds most, and what is free:"
        )
        yield f"  {PROGRAM} pool {row.pool} {where}"
        return
    used_up = exhausted(row)
    if not used_up:
        yield "It stays paused (QuotaExhausted) until the operator has seen that licenses are left."
    for item in used_up:
        yield f"It stays paused (QuotaExhausted): {_used_text(item)}. One of:"
        begin, left = f"  {PROGRAM} reallocate {row.name} {where} --license {item.name}", _left(pool, item.name)
        over = (item.used or 0) - (item.granted or 0)
        more = f" (N above {number(over)})" if over else ""
        free = "" if left is None else f": {number(left)} available"
        yield f"{begin} --by +N   # more from the pool{free}{more}"
        yield f"{begin} --from OTHER --by N   # from another client{more}"
        anew = next_period(pool, item.name, calendar, now)
        if anew is not None:
            yield f"  wait: the count begins anew {calendar.with_distance(anew, now)}"


def exhausted(row: ClientRow) -> list[LicenseRow]:
    """The licenses that allow no further use, by the operator's own rule."""
    return [item for item in row.licenses if is_exhausted(item.used, item.granted or 0, item.wanted or 0)]


def _used_text(item: LicenseRow) -> str:
    if not item.granted:
        return f"no {item.name} are granted"
    if (item.used or 0) == item.granted:
        return f"all {number(item.granted)} {item.name} are used"
    return f"{number(item.used)} {item.name} are used of {number(item.granted)}"


def _left(pool: Json | None, license_name: str) -> int | None:
    books = ((pool or {}).get("status") or {}).get("licenses") or ()
    found: int | None = next((e.get("available") for e in books if e["name"] == license_name), None)
    return None if found is None else max(0, found)
