"""A move of licenses between two clients: two writes that end as both or none (FEATURES Z5, X2).

The receiver is raised first, with an annotation that names the other half: the operator then holds the raise until the
source has let go, and gives it what was freed before anybody else in the queue. Then the source is lowered. If that
fails the receiver is put back. A process that dies between the two leaves a receiver that waits visibly
(TransferPending), and nobody has lost anything.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cli.allocation import Plan, licenses_patch
from clientorg.cli.options import PROGRAM
from clientorg.cli.terminal import note
from clientorg.cli.text import number
from clientorg.errors import ClientOrgError, ConflictError, UnreachableError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]


class HalfDoneError(ClientOrgError):
    """Only one half was written and could not be taken back; the message says how to put it right."""


def receiver_patch(receiver: Json, plan: Plan) -> Json:
    """The raise, with the annotation that names the other half."""
    from clientorg.domain.allocation import Transfer as Annotation

    raised, lowered = plan.changes
    patch = licenses_patch(receiver, raised)
    value = str(Annotation(lowered.client, plan.license, lowered.after, raised.after))
    patch["metadata"]["annotations"] = {ANNOTATION_TRANSFER: value}
    return patch


class Transfer:
    """The two writes of a plan, computed from these very versions of the two clients."""

    def __init__(self, session: Session, receiver: Json, source: Json, plan: Plan) -> None:
        self._session = session
        self._receiver = receiver
        self._source = source
        self._plan = plan

    async def carry_out(self) -> None:
        """Write both, or none.

        Raises:
            ConflictError: a client changed meanwhile; nothing is left written, so that it can be tried anew.
            HalfDoneError: the second write failed, and so did taking back the first.
        """
        # Ctrl-C between the writes must not leave half a move: it is obeyed after them.
        work = asyncio.ensure_future(self._carry_out())
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            note("\nfinishing what was begun …")
            await work
            note("the move was carried out.")
            raise

    async def _carry_out(self) -> None:
        raised = await self._raise()
        try:
            await self._lower()
        except ConflictError:
            await self._take_back(raised, "the source changed meanwhile")
            raise
        except ClientOrgError as error:
            await self._take_back(raised, str(error))
            raise

    async def _raise(self) -> Json:
        """The first write. Without an answer nobody knows whether it was made: then the receiver is read."""
        patch = receiver_patch(self._receiver, self._plan)
        try:
            return await self._patch(self._receiver, patch)
        except UnreachableError as error:
            now = await self._read(self._plan.changes[0].client, error)
            annotations = now["metadata"].get("annotations") or {}
            ours = patch["metadata"]["annotations"][ANNOTATION_TRANSFER]
            if self._same_version(now, self._receiver) or annotations.get(ANNOTATION_TRANSFER) != ours:
                raise
            return now

    async def _lower(self) -> None:
        """The second write. Without an answer nobody knows whether it was made: then the source is read."""
        change = self._plan.changes[1]
        try:
            await self._patch(self._source, licenses_patch(self._source, change))
        except UnreachableError as error:
            now = await self._read(change.client, error)
            quantities = {entry["name"]: entry["quantity"] for entry in now["spec"]["licenses"]}
            if self._same_version(now, self._source) or quantities.get(self._plan.license) != change.after:
                raise

    async def _read(self, name: str, cause: Exception) -> Json:
        """A client as it is now, to see what became of a write. Raises HalfDoneError when that cannot be told."""
        from clientorg.cluster.resources import CLIENT_ORGS

        try:
            return await self._session.api.get(CLIENT_ORGS, self._session.namespace, name)
        except ClientOrgError as error:
            raise HalfDoneError(self._half_done(f"{cause}; {error}")) from error

    @staticmethod
    def _same_version(one: Json, other: Json) -> bool:
        return bool(one["metadata"]["resourceVersion"] == other["metadata"]["resourceVersion"])

    async def _take_back(self, raised: Json, why: str) -> None:
        """Put the receiver back as it was, unless somebody has changed it since."""
        before = self._receiver["metadata"].get("annotations") or {}
        patch = {
            "metadata": {
                "resourceVersion": raised["metadata"]["resourceVersion"],
                "annotations": {ANNOTATION_TRANSFER: before.get(ANNOTATION_TRANSFER)},
            },
            "spec": {"licenses": self._receiver["spec"]["licenses"]},
        }
        for attempt in range(3):
            try:
                await self._patch(raised, patch)
                return
            except ConflictError as error:
                # The operator's status and finalizer change the version too; only a change of the spec is foreign.
                newest = await self._read(self._plan.changes[0].client, error)
                same_spec = newest["metadata"]["generation"] == raised["metadata"]["generation"]
                if attempt == 2 or not same_spec:
                    raise HalfDoneError(self._half_done(why)) from error
                patch["metadata"]["resourceVersion"] = newest["metadata"]["resourceVersion"]
            except ClientOrgError as error:
                raise HalfDoneError(self._half_done(f"{why}; {error}")) from error

    def _half_done(self, why: str) -> str:
        raised, lowered = self._plan.changes
        name, where = self._plan.license, f"-n {self._session.namespace}"
        return (
            f"half a move ({why}): {raised.client} was to have {number(raised.after)} {name} and {lowered.client} "
            f"{number(lowered.after)}; look at both, then\n"
            f"  to finish it:     {PROGRAM} reallocate {lowered.client} {where} --license {name} --to {lowered.after}\n"
            f"  to take it back:  {PROGRAM} reallocate {raised.client} {where} --license {name} --to {raised.before}"
        )

    async def _patch(self, client: Json, patch: Json) -> Json:
        from clientorg.cluster.resources import CLIENT_ORGS

        name = client["metadata"]["name"]
        return await self._session.api.patch(CLIENT_ORGS, self._session.namespace, name, patch)
