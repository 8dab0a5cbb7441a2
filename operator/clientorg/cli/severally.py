"""What commands that change clients share: all are looked at and shown before any is changed, and each is changed."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from clientorg.cli.options import DataOutput
from clientorg.cli.table import as_document
from clientorg.cli.terminal import colored, complain, note, say
from clientorg.errors import ClientOrgError

Item = TypeVar("Item")
Result = TypeVar("Result")


async def all_or_none(items: Iterable[Item], look: Callable[[Item], Awaitable[Result]]) -> list[Result]:
    """What `look` says of each, if it says something of all.

    Raises:
        ClientOrgError: the last refusal; those before it were told.
    """
    from clientorg.cli.failures import explain

    found: list[Result] = []
    refused: list[ClientOrgError] = []
    for item in items:
        try:
            found.append(await look(item))
        except ClientOrgError as error:
            refused.append(error)
    for refusal in refused[:-1]:
        complain("\n".join(explain(refusal)))
    if refused:
        raise refused[-1]
    return found


async def each(
    items: Iterable[Item], change: Callable[[Item], Awaitable[Result]]
) -> tuple[list[Result], ClientOrgError | None]:
    """Change each of them; a failure of one does not keep the others from it.

    Returns:
        What came of those that went well, and the last failure, which is the caller's; those before it were told.
    """
    from clientorg.cli.failures import explain

    done: list[Result] = []
    failed: ClientOrgError | None = None
    for item in items:
        try:
            done.append(await change(item))
        except ClientOrgError as error:
            if failed is not None:
                complain("\n".join(explain(failed)))
            failed = error
    return done, failed


def show_previews(output: DataOutput, ask: bool, views: Iterable[Item], lines: Callable[..., Iterable[str]]) -> None:
    """What would happen; beside the data that was asked for only where a person is about to be asked.

    Args:
        ask: a person is about to be asked.
        views: one for each client.
        lines: a view's lines, given the view and `color`.
    """
    if output is not DataOutput.TABLE and not ask:
        return
    tell, stream = (say, sys.stdout) if output is DataOutput.TABLE else (note, sys.stderr)
    for view in views:
        for text in lines(view, color=colored(stream)):
            tell(text)
        tell("")
    sys.stdout.flush()


def print_documents(output: DataOutput, documents: Sequence[dict[str, Any]], *, alone: bool) -> None:
    """The data that was asked for: of one client by itself, of several as a list.

    Args:
        alone: one client was named.
    """
    whole = documents[0] if alone and documents else {"clients": list(documents)}
    sys.stdout.write(as_document(whole, yaml=output is DataOutput.YAML))
    sys.stdout.flush()
