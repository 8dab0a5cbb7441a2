"""What `points replenish` shows: the plan before anything is made, and what was made."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from clientorg.cli.dates import Calendar
from clientorg.cli.forecast import Forecast
from clientorg.cli.options import DataOutput, DryRun
from clientorg.cli.replenishlook import Agency, Wish
from clientorg.cli.replenishplan import Plan, TopUp
from clientorg.cli.table import Cell, as_document, cells, table
from clientorg.cli.terminal import colored, note, say, warn
from clientorg.cli.text import number, plain, plural
from clientorg.domain.timestamps import rfc3339

Json = dict[str, Any]

MOST_SHOWN = 50
_HEADER = ["CLIENT", "BALANCE", "PENDING", "CHARGE", "DUE", "WITHOUT", "TOP-UP", "AFTER"]
_POOL_HEADER = ["POOL", "BALANCE", "WAITING", "TOP-UPS", "LEFT"]


def show(wish: Wish, plan: Plan, agency: Agency) -> None:
    """Print the preview, and warn of what will wait; beside a document it goes to stderr."""
    tell, stream = (say, sys.stdout) if wish.output is DataOutput.TABLE else (note, sys.stderr)
    for text in lines(plan, agency.calendars, wish.now, color=colored(stream)):
        tell(text)
    sys.stdout.flush()
    for share in plan.pools:
        if share.missing:
            warn(
                f"pool {share.name} lacks {number(share.missing)} points: "
                f"{plural(sum(one.client.pool == share.name for one in plan.later), 'top-up')} will wait until it has "
                f"them (kubectl clientorg points purchase {share.name} {share.missing} --reference …)"
            )


def lines(plan: Plan, calendars: Mapping[str, Calendar], now: datetime, *, color: bool) -> Iterator[str]:
    """The preview."""
    waits = {one.name for one in plan.later}
    if plan.top_ups:
        body = [_cells(one, calendars, waits=one.name in waits) for one in plan.top_ups[:MOST_SHOWN]]
        yield from table([*_HEADER, ""], body, color=color)
        if len(plan.top_ups) > MOST_SHOWN:
            yield f"… and {len(plan.top_ups) - MOST_SHOWN:,} more (all: --dry-run -o json)"
        yield ""
        shares = [
            cells(
                share.name,
                Cell(number(share.balance), right=True),
                Cell(number(share.waiting), right=True),
                Cell(number(share.asked), right=True),
                Cell(number(share.left), "red" if share.left < 0 else "bold", right=True),
            )
            for share in plan.pools
        ]
        yield from table(_POOL_HEADER, shares, color=color)
    if plan.skipped:
        names = [f"{plain(client.name)} ({reason})" for client, reason in plan.skipped[:5]]
        more = f" and {len(plan.skipped) - 5:,} more" if len(plan.skipped) > 5 else ""
        yield f"Left out: {', '.join(names)}{more}"


def _cells(one: TopUp, calendars: Mapping[str, Calendar], *, waits: bool) -> list[Cell]:
    client = one.client
    due = calendars[client.plan].full(client.charges[-1].due) if client.charges else "-"
    return cells(
        client.name,
        Cell(number(client.balance), "red" if client.balance < 0 else None, right=True),
        Cell(number(client.position.pending), right=True),
        Cell(number(client.coming), right=True),
        due,
        Cell(number(client.projected), "red" if client.projected < 0 else None, right=True),
        Cell(f"+{number(one.amount)}", "green", right=True),
        Cell(number(client.projected + one.amount), right=True),
        Cell("waits" if waits else "", "yellow"),
    )


def document(wish: Wish, plan: Plan, done: Sequence[tuple[TopUp, bool]]) -> Json:
    """For -o json and yaml."""
    made = {one.name: is_new for one, is_new in done}
    waits = {one.name for one in plan.later}
    return {
        "to": wish.to,
        "atomic": wish.atomic,
        "dryRun": wish.dry_run.value,
        "topUps": [_entry(one, made.get(one.name), waits=one.name in waits) for one in plan.top_ups],
        "pools": [
            {
                "name": share.name,
                "balance": share.balance,
                "waiting": share.waiting,
                "asked": share.asked,
                "left": share.left,
                "missing": share.missing,
            }
            for share in plan.pools
        ],
        "skipped": [{"client": client.name, "reason": reason} for client, reason in plan.skipped],
    }


def _entry(one: TopUp, created: bool | None, *, waits: bool) -> Json:
    client: Forecast = one.client
    return {
        "client": client.name,
        "orgID": client.org_id,
        "pool": client.pool,
        "name": one.name,
        "period": one.period,
        "due": rfc3339(client.charges[-1].due) if client.charges else None,
        "balance": client.balance,
        "pending": client.position.pending,
        "charge": client.coming,
        "projected": client.projected,
        "amount": one.amount,
        "after": client.projected + one.amount,
        "waits": waits,
        "created": created,
    }


def report(wish: Wish, plan: Plan, done: Sequence[tuple[TopUp, bool]]) -> None:
    """Print what was made; `done` says of each top-up whether this run made it."""
    if wish.output is not DataOutput.TABLE:
        sys.stdout.write(as_document(document(wish, plan, done), yaml=wish.output is DataOutput.YAML))
        return
    if not plan.top_ups:
        say(f"nothing to do: no client is below {number(wish.to)} after its next charge")
        return
    if wish.dry_run is DryRun.CLIENT:
        say(f"{plural(len(plan.top_ups), 'top-up')} to be created{wish.dry_run.suffix}")
        return
    new = sum(is_new for _, is_new in done)
    there = f", {number(len(done) - new)} there already" if len(done) > new else ""
    later = f"; {number(len(plan.later))} wait{'s' if len(plan.later) == 1 else ''} for points" if plan.later else ""
    say(f"{plural(new, 'top-up')} created{there}{later}{wish.dry_run.suffix}")
