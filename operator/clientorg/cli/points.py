"""`points add|remove|purchase|reverse`: movements of points, written as the user (FEATURES S6, S10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.api.pointtransaction import REVERSAL_SUFFIX, TransactionKind
from clientorg.cli.app import command, group
from clientorg.cli.options import DryRun, DryRunFlag, Target, WaitFlag, YesFlag
from clientorg.cli.pointflow import How, Output, carry_out, how_it_stands
from clientorg.cli.related import read_or_none
from clientorg.cli.session import connect
from clientorg.cli.text import checked_text, plain
from clientorg.cli.transactions import parse_points
from clientorg.cli.waiting import parse_wait
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

group(
    "points",
    """Add, remove and follow points.

    An agency buys points into its pool, gives them to clients, and each client's plan charges some every month.
    """,
    examples="""
    # 5,000 points from the pool to a client
    $ add acme 5000 --reason 'agreed by phone'
    # What became of them
    $ history acme
    # Who needs how many for the next charge, and give them to all
    $ estimate
    $ replenish --all
    """,
)

ClientArgument = Annotated[str, typer.Argument(metavar="CLIENT", help="Name of the client.")]
AmountArgument = Annotated[str, typer.Argument(metavar="AMOUNT", help="Points, a whole number of at least 1.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the transaction.")]
Reference = Annotated[
    str | None,
    typer.Option("--reference", metavar="TEXT", help="Document elsewhere, for example an invoice number."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name of the transaction. The same name is the same movement: repeating it makes nothing twice. Default: "
        "a new one, printed before the write.",
    ),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the transaction.")]


def _how(key: str | None, output: Output, yes: bool, dry_run: DryRun, wait: str) -> How:
    if key is not None and not key.strip():
        raise InputError("--name: the name of the transaction is empty; leave the flag out to have one generated")
    return How(key, output, yes, dry_run, parse_wait(wait))


@command(
    "points add",
    examples="""
    # See what it does first
    $ acme 5000 --reason 'agreed by phone' --dry-run
    # From a script: a name of its own, so that a repetition makes nothing twice; wait until it is posted
    $ acme 5000 --reason 'order 4711' --name order-4711 --yes --wait=2m
    """,
)
async def add(
    target: Target,
    client: ClientArgument,
    amount: AmountArgument,
    reason: Reason = None,
    reference: Reference = None,
    key: Key = None,
    output: OutputOption = Output.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Give a client points from its pool.

    Shows both balances before and after. If the pool is short, the transaction waits until it is not.
    """
    how = _how(key, output, yes, dry_run, wait)
    await _between(target, TransactionKind.TOP_UP, client, amount, reason, reference, how)


@command(
    "points remove",
    examples="""
    # Back to the pool; warns if the client is below zero then, and from when on it would be paused
    $ acme 500 --reason 'booked twice'
    """,
)
async def remove(
    target: Target,
    client: ClientArgument,
    amount: AmountArgument,
    reason: Reason = None,
    reference: Reference = None,
    key: Key = None,
    output: OutputOption = Output.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Take points from a client back into its pool.

    The balance may fall below zero; for longer than its plan tolerates, the client is paused.
    """
    how = _how(key, output, yes, dry_run, wait)
    await _between(target, TransactionKind.WITHDRAWAL, client, amount, reason, reference, how)


async def _between(
    target: Target,
    kind: TransactionKind,
    name: str,
    amount: str,
    reason: str | None,
    reference: str | None,
    how: How,
) -> None:
    """A movement between a client and its pool."""
    from clientorg.cluster.resources import CLIENT_ORGS

    points = parse_points(amount)
    texts = {
        "reason": checked_text("--reason", reason, 256),
        "reference": checked_text("--reference", reference, 128),
    }
    async with connect(target) as session:
        client = await session.api.get(CLIENT_ORGS, session.namespace, name)
        pool = client["spec"]["poolRef"]["name"]
        accounts = [f"pool/{pool}", f"org/{name}"]
        source, target_account = accounts if kind is TransactionKind.TOP_UP else reversed(accounts)
        spec = {
            "kind": kind.value,
            "from": source,
            "to": target_account,
            "amount": points,
            "orgID": (client.get("status") or {}).get("orgID"),
            **texts,
        }
        await carry_out(session, _without_none(spec), how, client, pool)


@command(
    "points purchase",
    examples="""
    # Record what the agency bought from the distributor; top-ups that wait for points are posted then
    $ tokyo 100000 --reference INV-2026-0815
    """,
)
async def purchase(
    target: Target,
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Name of the pool that gets the points.")],
    amount: AmountArgument,
    reference: Reference = None,
    reason: Reason = None,
    key: Key = None,
    output: OutputOption = Output.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Record points that the agency has bought.

    For the distributor: it needs the verb purchase on pointtransactions.
    """
    from clientorg.cluster.resources import QUOTA_POOLS

    points, how = parse_points(amount), _how(key, output, yes, dry_run, wait)
    spec = {
        "kind": TransactionKind.PURCHASE.value,
        "from": "external",
        "to": f"pool/{pool}",
        "amount": points,
        "reason": checked_text("--reason", reason, 256),
        "reference": checked_text("--reference", reference, 128),
    }
    async with connect(target) as session:
        await session.api.get(QUOTA_POOLS, session.namespace, pool)  # a mistyped name is told before the question
        await carry_out(session, _without_none(spec), how, None, pool)


@command(
    "points reverse",
    examples="""
    # The same movement the other way round; once, because its name is given: topup-acme-1-reversal
    $ topup-acme-1 --reason 'wrong client'
    """,
)
async def reverse(
    target: Target,
    transaction: Annotated[str, typer.Argument(metavar="TRANSACTION", help="Name of the posted transaction.")],
    reason: Reason = None,
    output: OutputOption = Output.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Correct a posted transaction.

    Posted entries never change: the reversal moves the same points back. Nothing is reversed twice.
    """
    from clientorg.domain.ledger import reversal_name

    text = checked_text("--reason", reason, 256)
    how = _how(reversal_name(transaction), output, yes, dry_run, wait)
    async with connect(target) as session:
        await _reverse(session, transaction, text, how)


async def _reverse(session: Session, transaction: str, reason: str | None, how: How) -> None:
    from clientorg.cluster.resources import CLIENT_ORGS, POINT_TRANSACTIONS
    from clientorg.domain.ledger import reversal_name

    original = await session.api.get(POINT_TRANSACTIONS, session.namespace, transaction)
    earlier = await read_or_none(session, POINT_TRANSACTIONS, reversal_name(transaction))
    spec = reversal_spec(original)
    # Whatever reason the first one gave, it is reversed; another reason is no other movement.
    spec["reason"] = reason if earlier is None else earlier["spec"].get("reason")
    accounts = (spec["from"], spec["to"])
    name = next((a.removeprefix("org/") for a in accounts if a.startswith("org/")), "")
    pool = next((a.removeprefix("pool/") for a in accounts if a.startswith("pool/")), None)
    client = await read_or_none(session, CLIENT_ORGS, name)
    if client is not None and spec.get("orgID") not in (None, (client.get("status") or {}).get("orgID")):
        client = None  # another one has the name now
    await carry_out(session, _without_none(spec), how, client, pool)


def reversal_spec(original: Json) -> Json:
    """spec of the Reversal: the same points between the same accounts, the other way round.

    Raises:
        InputError: it cannot be reversed.
    """
    name, spec, status = original["metadata"]["name"], original["spec"], original.get("status") or {}
    if spec["kind"] == TransactionKind.REVERSAL.value or name.endswith(REVERSAL_SUFFIX):
        raise InputError(f"{name} is a reversal itself; make the movement anew: points add, or points remove")
    if status.get("phase") != "Posted":
        told = f"{status.get('phase', 'not posted yet')}; {plain(how_it_stands(original))}"
        raise InputError(
            f"{name} is not posted ({told}), so there is nothing to correct; delete it instead: kubectl delete "
            f"pointtransaction {name} -n {original['metadata'].get('namespace', '')}"
        )
    if spec["amount"] == 0:
        raise InputError(f"{name} moved no points, so there is nothing to reverse")
    return {
        "kind": TransactionKind.REVERSAL.value,
        "from": spec["to"],
        "to": spec["from"],
        "amount": spec["amount"],
        "orgID": status.get("orgID") or spec.get("orgID"),
        "reverses": name,
        "pool": spec.get("pool"),
    }


def _without_none(spec: Json) -> Json:
    return {key: value for key, value in spec.items() if value is not None}
