"""Writes what a pass found into the client: mark, status, and the Events that tell of it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final

from clientorg.api.clientorg import OrgState
from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.meta import FINALIZER, LABEL_ORG_ID
from clientorg.api.notifications import NotificationKind
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.control.clientobject import Client
from clientorg.control.clientpass import Surroundings
from clientorg.domain.client_facts import Facts
from clientorg.domain.client_status import refused_status, status_of
from clientorg.domain.conditions import find
from clientorg.domain.decision import Decision
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.timestamps import rfc3339, rfc3339_micro
from clientorg.errors import InvalidError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
REMEMBERED: Final = (
    "deactivation",
    "meters",
    "thresholds",
    "access",
    "outbox",
    "lastHandledResend",
    "lastHandledPaymentLink",
    "lastTransfer",
    "approval",
    "points",
    "users",
    "termination",
    "standing",
    "trends",
)
"""What status remembers, and a pass that decides nothing leaves as it is."""
_UNREMARKABLE = frozenset(
    {
        Reason.PROVISIONING,
        Reason.DELETING,
        Reason.PAUSING,
        Reason.RESUMING,
        Reason.PURGING,
        Reason.APPROVAL_PENDING,
        Reason.SETTLEMENT_PENDING,
    }
)


class StatusWriter:
    """Writes into clients, only onto the version that was judged."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._with = surroundings

    async def mark(self, client: Client) -> Client:
        """Our finalizer and the Org ID label, before anything is made that they guard."""
        patch: Json = {
            "metadata": {
                "resourceVersion": str(client.version),
                "labels": {LABEL_ORG_ID: client.org_id},
                "finalizers": list(dict.fromkeys((*client.finalizers, FINALIZER))),
            }
        }
        answer = await self._with.api.patch(CLIENT_ORGS, *client.name, patch)
        self._with.newest.hold(client)
        return self.take(answer, client)

    async def note(self, client: Client, part: Json) -> Client:
        """A part of the status that has to be written down before the rest of the pass, onto the version we judged."""
        body: Json = {"metadata": {"resourceVersion": str(client.version)}, "status": part}
        return self.take(await self._with.api.patch(CLIENT_ORGS, *client.name, body, subresource="status"), client)

    def take(self, manifest: Json, before: Client) -> Client:
        """The server's answer to our write, which is newer than any event so far."""
        self._with.store.put_client(manifest)
        client = self._with.store.clients.get(before.name, before)
        self._with.allocations.settle(client)
        return client

    async def patch(
        self, client: Client, before: Json, facts: Facts, decision: Decision | None = None, keep: tuple[str, ...] = ()
    ) -> Client:
        """The one status patch of the pass, only if something changed, only onto the version we judged.

        Args:
            before: the client's status, decoded once a pass.
        """
        now = self._with.clock.now()
        status = status_of(facts, before, rfc3339(now))
        status |= {name: before[name] for name in keep if name in before}
        patch = merge_patch(before, status)
        if not patch:
            return client
        body: Json = {"metadata": {"resourceVersion": str(client.version)}, "status": patch}
        try:
            answer = await self._with.api.patch(CLIENT_ORGS, *client.name, body, subresource="status")
        except InvalidError as error:  # a status that does not fit its schema must not leave the client without any
            logger.exception("status refused")
            status = refused_status(facts.generation, str(error), before, rfc3339(now))
            body["status"] = {name: status[name] for name in ("observedGeneration", "conditions")}
            answer = await self._with.api.patch(CLIENT_ORGS, *client.name, body, subresource="status")
        after = self.take(answer, client)
        if facts.holder != client.holder or after.approval != client.approval or _sums(after) != _sums(client):
            self._with.pool_changed((client.name[0], client.pool))
        if (after.blueprint, after.purge_started) != (client.blueprint, client.purge_started):
            self._with.rollouts.moved(after)
        self._tell(client, before, status, decision, now)
        return after

    def _tell(self, client: Client, before: Json, status: Json, decision: Decision | None, now: datetime) -> None:
        """An Event for each transition of Ready (its status or its reason), and for each threshold."""
        for crossing in decision.new_crossings if decision is not None else ():
            note = f"{crossing.percent} % of {crossing.license} are used in period {crossing.period}"
            self._with.event(client, "Warning", "ThresholdReached", note, "/".join(map(str, crossing.key)), now)
        told = {entry["key"] for entry in before.get("outbox") or ()}
        for entry in status.get("outbox") or ():
            if entry["kind"] == NotificationKind.REMINDER and entry["key"] not in told:
                note = f"everything will be deleted after {entry['params']['purgeAfter']}; reactivate the client before"
                self._with.event(client, "Warning", "PurgeReminder", note, entry["key"], now)
        old = find(before.get("conditions") or (), ConditionType.READY)
        new = find(status["conditions"], ConditionType.READY)
        if new is None or (old is not None and (old["status"], old["reason"]) == (new["status"], new["reason"])):
            return
        waited = (None, OrgState.PROVISIONING, OrgState.PENDING_APPROVAL)
        if new["status"] == "True" and before.get("state") in waited:
            self._with.became_ready((now - datetime.fromisoformat(client.created)).total_seconds())
        is_warning = new["status"] != "True" and new["reason"] not in _UNREMARKABLE
        once = f"{new['status']}/{client.generation}/{rfc3339_micro(now)}"
        self._with.event(client, "Warning" if is_warning else "Normal", new["reason"], new["message"], once, now)


def _sums(client: Client) -> tuple[object, ...]:
    """What its pool sums up of a client's points."""
    return client.next_charge, client.shortfall, client.charge_due
