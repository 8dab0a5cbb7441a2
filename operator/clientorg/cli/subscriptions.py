"""`subscription`: extend a trial, convert it, record a payment (FEATURES W5, W14)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command, group
from clientorg.cli.options import DryRun, DryRunFlag, Target
from clientorg.cli.session import Session, connect
from clientorg.cli.terminal import say
from clientorg.cli.text import joined, plain
from clientorg.domain.timestamps import rfc3339
from clientorg.errors import ApiError, ConflictError, InputError

Json = dict[str, Any]
_MOST_HISTORY = 64

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the Subscription.")]

group(
    "subscription",
    """Extend and convert trials, record payments.

    What is done is added to the order's history. See docs/subscriptions.md.""",
    examples="""
    $ extend acme-trial --days 14
    $ convert acme-trial --months 12 --auto-renew
    $ pay acme-2026 R-2026-0042
    """,
)


@command(
    "subscription extend",
    examples="""
    # Two weeks more than it has, also after its end; until a day
    $ acme-trial --days 14
    $ acme-trial --until 2027-01-31 --dry-run
    """,
)
async def extend(
    target: Target,
    name: NameArgument,
    days: Annotated[int | None, typer.Option("--days", metavar="N", help="So many days more.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="To this day, the first that it no longer covers.")
    ] = None,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Extend a trial, also one that is over: its client goes on.

    Paid subscriptions renew (spec.autoRenew) or are edited.
    """
    if (days is None) == (until is None):
        raise InputError("--days or --until: give one of them")
    async with connect(target) as session:
        item = await _read(session, name)
        if item["spec"]["type"] != "Trial":
            raise InputError(f"NAME: {plain(name)} is paid for, and no trial; change its spec.renewalDate or autoRenew")
        end = _end(item)
        new = end + timedelta(days=days or 0) if until is None else _day("--until", until)
        if new <= end:
            raise InputError(
                f"--{'days' if until is None else 'until'}: it runs until {end} already; choose a later day"
            )
        patch = {"renewalDate": new.isoformat()}
        await _change(session, item, patch, "Extended", f"from {end} to {new}", dry_run)
        say(f"subscription.clientorg.dev/{name} extended from {end} to {new}{dry_run.suffix}")


@command(
    "subscription convert",
    examples="""
    # From the end of the trial on, for a year, renewing by itself
    $ acme-trial --months 12 --auto-renew
    # From a day on, with more licenses
    $ acme-trial --months 1 --start 2026-12-01 --license visitors=50000
    """,
)
async def convert(
    target: Target,
    name: NameArgument,
    months: Annotated[int, typer.Option("--months", metavar="N", min=1, max=120, help="Length of a term.")],
    start: Annotated[
        str | None, typer.Option("--start", metavar="DATE", help="First day that is paid for. Default: today.")
    ] = None,
    auto_renew: Annotated[bool, typer.Option("--auto-renew", help="Another term begins where one ends.")] = False,
    license_: Annotated[
        list[str] | None,
        typer.Option(
            "--license", metavar="NAME=QUANTITY", help="Licenses that are bought. Default: those of the trial."
        ),
    ] = None,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Convert a trial into a paid subscription; there is no way back.

    The client's own spec.licenses stay as they are.
    """
    from clientorg.cli.manifest import parse_licenses

    bought = parse_licenses(license_ or ())
    async with connect(target) as session:
        item = await _read(session, name)
        if item["spec"]["type"] != "Trial":
            raise InputError(f"NAME: {plain(name)} is paid for already")
        first = clock.now().date() if start is None else _day("--start", start)
        patch: Json = {
            "type": "Paid",
            "startDate": first.isoformat(),
            "term": {"months": months, "days": None},
            "renewalDate": None,
            "autoRenew": auto_renew,
        }
        if bought:
            products = {entry["name"]: entry["licenses"] for entry in item["spec"]["products"]} | bought
            patch["products"] = [{"name": key, "licenses": value} for key, value in products.items()]
        note = f"paid from {first} on, {months} months{', renewing' if auto_renew else ''}"
        await _change(session, item, patch, "Converted", note, dry_run)
        say(f"subscription.clientorg.dev/{name} converted: {note}{dry_run.suffix}")


@command(
    "subscription pay",
    examples="""
    # It was paid today; two of them, on another day
    $ acme-2026 R-2026-0042
    $ acme-2026 R-2026-0042 R-2026-0043 --date 2026-12-28
    """,
)
async def pay(
    target: Target,
    name: NameArgument,
    numbers: Annotated[list[str], typer.Argument(metavar="INVOICE", help="Numbers of the invoices.")],
    date_: Annotated[
        str | None, typer.Option("--date", metavar="DATE", help="Day of the payment. Default: today.")
    ] = None,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Record that invoices are paid; a client that was paused for them goes on.

    No money is moved.
    """
    async with connect(target) as session:
        item = await _read(session, name)
        paid = clock.now().date() if date_ is None else _day("--date", date_)
        invoices = _paid(item, numbers, paid)
        await _change(session, item, {"invoices": invoices}, "Paid", joined(numbers), dry_run)
        for number in numbers:
            say(f"invoice {plain(number)} of subscription.clientorg.dev/{name} paid on {paid}{dry_run.suffix}")


def _paid(item: Json, numbers: Sequence[str], paid: date) -> list[Json]:
    """The invoices, with those set to Paid.

    Raises:
        InputError: there is none of that number, or it is not open.
    """
    invoices: list[Json] = [dict(entry) for entry in item["spec"].get("invoices") or ()]
    by_number = {entry["number"]: entry for entry in invoices}
    for number in numbers:
        found = by_number.get(number)
        if found is None:
            known = joined([plain(key) for key in by_number], "or") or "none"
            raise InputError(f"INVOICE: {item['metadata']['name']} has no invoice {plain(number)!r}; it has {known}")
        if found.get("state", "Open") != "Open":
            raise InputError(f"INVOICE: {plain(number)} is {found['state']}, not Open")
        found |= {"state": "Paid", "paidDate": paid.isoformat()}
    return invoices


async def _read(session: Session, name: str) -> Json:
    from clientorg.cluster.resources import SUBSCRIPTIONS

    return await session.api.get(SUBSCRIPTIONS, session.namespace, name)


def _end(item: Json) -> date:
    """The end of the trial's term; of the operator's words, else by the same rule."""
    from clientorg.domain.calendar import zone
    from clientorg.domain.subscription import read, term_at

    told = ((item.get("status") or {}).get("term") or {}).get("endDate")
    if told and (item["status"].get("observedGeneration") == item["metadata"].get("generation")):
        return date.fromisoformat(told)
    return term_at(read(item), clock.now(), zone("UTC")).end.date()


def _day(flag: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{flag}: {plain(text)!r} is no day; write for example 2026-12-31") from None


async def _change(session: Session, item: Json, spec: Json, event: str, note: str, dry_run: DryRun) -> None:
    """Write it with its entry in the order's history, only into the version that was read.

    Raises:
        InputError: somebody changed it meanwhile.
    """
    from clientorg.cli.whoami import authenticated_user
    from clientorg.cluster.resources import SUBSCRIPTIONS

    if dry_run is DryRun.CLIENT:
        return
    entry: Json = {"time": rfc3339(clock.now()), "event": event, "note": note[:256]}
    try:
        user = await authenticated_user(session)
    except ApiError:  # the history is kept without it
        user = None
    history = [*(item["spec"]["order"].get("history") or ()), entry | ({"by": user[:256]} if user else {})]
    metadata = item["metadata"]
    patch = {
        "metadata": {"resourceVersion": metadata["resourceVersion"]},
        "spec": {**spec, "order": {"history": history[-_MOST_HISTORY:]}},
    }
    try:
        await session.api.patch(
            SUBSCRIPTIONS, session.namespace, metadata["name"], patch, dry_run=dry_run is DryRun.SERVER
        )
    except ConflictError as error:
        raise InputError(f"NAME: {metadata['name']} was changed meanwhile; look at it and try again") from error
