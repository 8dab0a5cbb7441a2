"""Questions for what `create` still needs, with what the cluster has as defaults (FEATURES Z1, Z2)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clientorg.api.meta import MAX_CLIENT_NAME_LENGTH
from clientorg.cli.fields import FIELDS, PLAN, POOL, Field
from clientorg.cli.manifest import Draft
from clientorg.cli.terminal import ask, note
from clientorg.cli.text import joined, number, parse_count, plain
from clientorg.cli.watching import list_objects
from clientorg.errors import ApiError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session
    from clientorg.cluster.resources import Resource

Json = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass
class Catalog:
    """What there is to choose from: pools with what is available of each license, plans."""

    pools: dict[str, dict[str, int | None]] = field(default_factory=dict)
    plans: list[str] = field(default_factory=list)


async def read_catalog(session: Session) -> Catalog:
    """Pools and plans of the namespace; empty where there is no right to read them."""
    from clientorg.cli.poolrows import stock_rows
    from clientorg.cluster.resources import ORG_PLANS, QUOTA_POOLS

    async def read(resource: Resource) -> list[Json]:
        try:
            return (await list_objects(session.api, resource, session.namespace))[0]
        except ApiError:
            return []

    pools, plans = await asyncio.gather(read(QUOTA_POOLS), read(ORG_PLANS))
    return Catalog(
        pools={
            pool["metadata"]["name"]: {
                row.license: row.total if row.available is None else row.available for row in stock_rows(pool)
            }
            for pool in pools
        },
        plans=[plan["metadata"]["name"] for plan in plans],
    )


def fill_in(draft: Draft, catalog: Catalog) -> None:
    """Ask for everything that is required and missing. Ctrl-C and Ctrl-D raise typer.Abort."""
    missing = {item.name for item in draft.missing()}
    for item in FIELDS:
        if item.name in missing:
            draft.texts[item.name] = _ask_text(item)
            if item.name == "display_name" and not draft.name:
                draft.name = _ask_name(suggested_name(draft.texts["display_name"]))
    if not draft.name:
        draft.name = _ask_name(suggested_name(draft.texts.get("display_name", "")))
    if POOL.name in missing:
        draft.texts[POOL.name] = _choose("Pool", list(catalog.pools))
    if PLAN.name in missing:
        draft.texts[PLAN.name] = _choose("Plan", catalog.plans)
    if not draft.licenses:
        draft.licenses = _ask_licenses(catalog.pools.get(draft.texts[POOL.name], {}))


def suggested_name(display_name: str) -> str | None:
    """A name for the object, from what people call the client; None when nothing of it can be one."""
    import unicodedata

    ascii_text = unicodedata.normalize("NFKD", display_name).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:MAX_CLIENT_NAME_LENGTH].rstrip("-")
    return name or None


def _ask_name(default: str | None) -> str:
    while True:
        name = ask("Name (of the object)", default)
        if _NAME.fullmatch(name) and len(name) <= MAX_CLIENT_NAME_LENGTH:
            return name
        note(f"  lower-case letters, digits and '-', at most {MAX_CLIENT_NAME_LENGTH}")


def _ask_text(item: Field) -> str:
    from clientorg.cli.checks import problem

    while True:
        value = ask(item.label)
        fault = problem(item.path, value)
        if fault is None:
            return value
        note(f"  {fault}")


def _choose(what: str, choices: list[str]) -> str:
    if choices:
        note(f"{what}s of this agency: {joined(map(plain, choices))}")
    while True:
        value = ask(what, choices[0] if len(choices) == 1 else None)
        if not choices or value in choices:
            return value
        note(f"  there is no {what.lower()} {plain(value)!r}")


def _ask_licenses(stock: dict[str, int | None]) -> dict[str, int]:
    """A quantity for each license of the pool (0 leaves it out); at least one is needed."""
    names = list(stock) or [ask("License (its name in the pool)")]
    while True:
        licenses = {}
        for name in names:
            count = _ask_count(name, stock.get(name))
            if count:
                licenses[name] = count
        if licenses:
            return licenses
        note("  a client has at least one license")


def _ask_count(name: str, available: int | None) -> int:
    hint = "" if available is None else f" ({number(available)} available)"
    while True:
        try:
            count = parse_count(ask(f"How many {plain(name)}{hint}", "0"), name)
        except InputError as error:
            note(f"  {error}")
            continue
        if available is not None and count > available:
            note(f"  the pool has {number(max(0, available))}; the client will wait for the rest")
        return count
