"""Writing PointTransactions as the user: amounts, names, who asks, and what a repeated write means (FEATURES S6)."""

from __future__ import annotations

import asyncio
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clientorg.api.meta import API_VERSION, MAX_QUANTITY
from clientorg.api.pointtransaction import TransactionKind
from clientorg.cli.text import plain
from clientorg.errors import AlreadyExistsError, ApiError, InputError, UnreachableError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 4
FIRST_PAUSE_SECONDS = 0.2
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_GROUPED = re.compile(r"\d{1,3}([,._' ]\d{3})+")
_FRACTION = re.compile(r"\d*[.,]\d+")


def parse_points(text: str, argument: str = "AMOUNT", *, least: int = 1) -> int:
    """A number of points: digits and nothing else, because `1.000` is a thousand here and one there.

    Args:
        argument: what the user calls it, for the errors.
        least: the smallest that is admitted.

    Raises:
        InputError: anything else.
    """
    given = unicodedata.normalize("NFKC", text).strip()
    shown = repr(plain(text))
    if re.fullmatch(r"\d+", given):
        value = int(given)
        if value < least:
            raise InputError(f"{argument}: {shown} is too few; write a whole number of at least {least}")
        if value > MAX_QUANTITY:
            raise InputError(f"{argument}: {shown} is more than the largest amount, {MAX_QUANTITY} (2^53)")
        return value
    if re.fullmatch(r"[-−].*", given):
        raise InputError(f"{argument}: {shown} is below zero; write a whole number of at least {least}")
    if _GROUPED.fullmatch(given):
        digits = re.sub(r"\D", "", given)
        raise InputError(f"{argument}: {shown} has separators, which mean different things; write {digits}")
    if _FRACTION.fullmatch(given):
        raise InputError(f"{argument}: {shown} is not whole; points are whole numbers")
    raise InputError(f"{argument}: {shown} is not a number; write a whole number of points, for example 50000")


def generated_name(kind: TransactionKind, about: str) -> str:
    """A name that nothing else has: the idempotency key of this one movement."""
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    return f"{kind.value.lower()}-{about[:200]}-{suffix}"


def manifest(name: str, namespace: str, spec: Json) -> Json:
    """The PointTransaction; what is None is left out."""
    return {
        "apiVersion": API_VERSION,
        "kind": "PointTransaction",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


async def whoami(session: Session) -> str:
    """The user's name as the API server knows it (SelfSubjectReview)."""
    from clientorg.cluster.resources import SELF_SUBJECT_REVIEWS

    review = {"apiVersion": SELF_SUBJECT_REVIEWS.api_version, "kind": SELF_SUBJECT_REVIEWS.kind}
    answer = await session.api.create(SELF_SUBJECT_REVIEWS, None, review)
    return str(answer["status"]["userInfo"].get("username", ""))


@dataclass(frozen=True)
class Outcome:
    """What came of a write.

    Attributes:
        item: the transaction as the server has it.
        is_new: this command made it; else it was there with the same content.
    """

    item: Json
    is_new: bool


class NameTakenError(InputError):
    """A transaction of this name is there, and it is another movement."""


async def write(session: Session, wanted: Json, *, dry_run: bool = False) -> Outcome:
    """Create a transaction, once: a lost answer is asked for again, and the same content is the same movement.

    Raises:
        NameTakenError: the name belongs to another movement.
        ApiError: the server refuses.
        UnreachableError: no answer, several times; whether it was created is not known, and a repetition with the same
            name finds out.
    """
    from clientorg.cluster.resources import POINT_TRANSACTIONS

    name, pause = wanted["metadata"]["name"], FIRST_PAUSE_SECONDS
    asked_before = False
    for attempt in range(TRIES):
        try:
            made = await session.api.create(POINT_TRANSACTIONS, session.namespace, wanted, dry_run=dry_run)
            return Outcome(made, is_new=True)
        except AlreadyExistsError:
            found = await session.api.get(POINT_TRANSACTIONS, session.namespace, name)
            check_same(wanted, found)
            return Outcome(found, is_new=asked_before and _is_by(wanted, found))
        except (UnreachableError, ApiError) as error:
            passing = isinstance(error, UnreachableError) or error.is_transient
            if not passing or attempt == TRIES - 1:
                raise
            asked_before = True
            await asyncio.sleep(max(pause, getattr(error, "retry_after_seconds", None) or 0.0))
            pause *= 2
    raise AssertionError("unreachable")


def _is_by(wanted: Json, found: Json) -> bool:
    return bool(wanted["spec"].get("requestedBy") == found["spec"].get("requestedBy"))


def check_same(wanted: Json, found: Json) -> None:
    """Raise NameTakenError where the found one is another movement; who asked for it is no part of that."""
    asked, there = wanted["spec"], found["spec"]
    for key in dict.fromkeys((*asked, *there)):
        if key != "requestedBy" and asked.get(key) != there.get(key):
            raise NameTakenError(
                f"there is a transaction {wanted['metadata']['name']!r} already, and it is another movement: its "
                f"spec.{key} is {_shown(there.get(key))}, and not {_shown(asked.get(key))}; choose another --name"
            )


def _shown(value: Any) -> str:
    return "absent" if value is None else plain(str(value))
