"""Creates the top-ups of `points replenish`, so that any run can be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clientorg.cli.options import DryRun
from clientorg.cli.replenishlook import Wish
from clientorg.cli.replenishplan import GROUP_LABEL, Plan, TopUp
from clientorg.cli.terminal import note
from clientorg.cli.text import number, plural
from clientorg.cli.transactions import NameTakenError, manifest, write
from clientorg.cli.waiting import progress
from clientorg.errors import ClientOrgError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

WORKERS = 16


class Writer:
    """Creates the top-ups, several at a time, and tells how far it came whatever stops it."""

    def __init__(self, session: Session, wish: Wish, user: str, total: int) -> None:
        self._session = session
        self._wish = wish
        self._user = user
        self._total = total
        self._done: list[tuple[TopUp, bool]] = []

    async def create(self, plan: Plan) -> list[tuple[TopUp, bool]]:
        """Each top-up and whether this run made it.

        Raises:
            ClientOrgError: one was refused; nothing more was begun after that.
        """
        try:
            async with progress(self._text()) as line:
                await self._all(plan.now, line.update)
                if plan.later and plan.now and self._wish.dry_run is DryRun.NONE:
                    # Times of creation are whole seconds, and who is older is served first: what is covered has to be.
                    await asyncio.sleep(1.0)
                await self._all(plan.later, line.update)
        except BaseException as error:
            if self._wish.dry_run is DryRun.NONE:
                reason = "an error" if isinstance(error, Exception) else "the interruption"
                note(
                    f"{number(len(self._done))} of {plural(self._total, 'top-up')} are there after {reason}; run the "
                    "same command again to go on: nothing is made twice"
                )
            raise
        return self._done

    def _text(self) -> str:
        share = len(self._done) / self._total
        return f"topping up {'█' * int(share * 20):<20} {number(len(self._done))} of {number(self._total)}"

    async def _all(self, top_ups: Sequence[TopUp], tell: Any) -> None:
        left = iter(top_ups)

        async def work() -> None:
            for one in left:  # shared: each worker takes the next one
                await self._one(one)
                tell(self._text())

        tasks = [asyncio.create_task(work()) for _ in range(min(WORKERS, len(top_ups)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, one: TopUp) -> None:
        wanted = manifest(one.name, self._session.namespace, one.spec(self._user))
        if one.group is not None:
            wanted["metadata"]["labels"] = {GROUP_LABEL: one.group[0]}
        try:
            outcome = await write(self._session, wanted, dry_run=self._wish.dry_run is DryRun.SERVER)
        except NameTakenError as error:
            raise ClientOrgError(
                f"somebody else has topped up {one.client.name} at the same time, with other numbers ({error}); run it "
                "again to see what is still needed"
            ) from error
        self._done.append((one, outcome.is_new))
