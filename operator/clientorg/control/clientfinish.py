"""The end of a pass over a client: the messages that follow, the status, and when to come again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from clientorg.api.notifications import Channel, NotificationKind
from clientorg.control.clientobject import Client
from clientorg.control.clientpass import Result, Surroundings
from clientorg.control.clientstatus import StatusWriter
from clientorg.control.objects import Plan
from clientorg.control.workspaces import Outcome
from clientorg.domain import outbox as box
from clientorg.domain.client_facts import Facts
from clientorg.domain.client_status import contract_json
from clientorg.domain.decision import Decision
from clientorg.domain.drift import stable_digest
from clientorg.domain.messages import Entry, Notice, Outbox, from_status, to_status
from clientorg.domain.notices import add_all, delivery_again, failing_text, notices, without_outdated
from clientorg.domain.points_notices import points_notices, without_untrue
from clientorg.domain.timestamps import compact
from clientorg.errors import InputError
from clientorg.notify.sender import channels_of

Json = dict[str, Any]


class Finisher:
    """Ends passes over clients."""

    def __init__(self, surroundings: Surroundings, writer: StatusWriter) -> None:
        self._with = surroundings
        self._writer = writer

    async def finish(
        self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision, outcome: Outcome
    ) -> Result:
        """The messages that follow, the status, and when to come again."""
        facts, outbox, given_up = self.with_messages(client, before, plan, facts, decision)
        after = await self._writer.patch(client, before, facts, decision)
        self._measure(before, facts)
        for entry in given_up:
            note = f"message {entry.key} was given up: the outbox is full of others that cannot be delivered"
            self._with.event(client, "Warning", "MessageGivenUp", note, entry.key, self._with.clock.now())
        next_message = box.next_due(outbox, self._with.clock.now())
        if next_message is not None:
            self._with.mail_due(client.name)
        if decision.reminder is not None and after.version != client.version and next_message is None:
            return Result(0.0, outcome.failed, decision.next_due)  # no channel is on: it is delivered by being told
        dues = [due for due in (decision.next_due, next_message) if due is not None]
        return Result(outcome.retry_after_seconds, outcome.failed, min(dues, default=None))

    def with_messages(
        self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision
    ) -> tuple[Facts, Outbox, list[Entry]]:
        """The facts with the messages that follow from them, the outbox, and what was given up for want of room."""
        now = self._with.clock.now()
        channels = channels_of(plan.template.spec.notifications)
        outbox = from_status(before.get("outbox") or ())
        for channel in Channel:
            if channel not in channels:
                outbox = box.switch_off(outbox, channel)
        outbox = without_outdated(outbox, facts.deactivation, decision.reminder, facts.trial_ends)
        after = contract_json(facts)
        outbox = without_untrue(outbox, after)
        suspends = facts.points.suspends if facts.points is not None else None
        new = [
            *notices(before, facts, decision, now, terminated=facts.is_terminated),
            *points_notices(before, after, now, suspends_after=suspends, settlement=self._settlement(client, facts)),
        ]
        if client.payment_link is not None and client.payment_link != before.get("lastHandledPaymentLink"):
            new += self._payment_link(client, plan, facts, channels, client.payment_link)
        is_resend = client.resend is not None and client.resend != before.get("lastHandledResend")
        wanted = client.resend.partition("@")[0] if client.resend is not None and is_resend else ""
        if wanted == NotificationKind.DELIVERY:
            new += delivery_again(before, facts, outbox, now)
        outbox, given_up = add_all(outbox, new, now, channels)
        if is_resend and not any(entry.kind == wanted for entry in new):
            outbox = self._resend(client, outbox, wanted, channels)
        facts = replace(
            facts,
            outbox=tuple(to_status(outbox)),
            undelivered=failing_text(outbox),
            resend_requested=client.resend or before.get("lastHandledResend"),
            payment_link_requested=client.payment_link or before.get("lastHandledPaymentLink"),
        )
        return facts, outbox, given_up

    def _resend(self, client: Client, outbox: Outbox, wanted: str, channels: Collection[Channel]) -> Outbox:
        now = self._with.clock.now()
        is_key = any(entry.key == wanted for entry in outbox)
        try:
            return box.resend(
                outbox, now, key=wanted if is_key else None, kind=None if is_key else wanted, channels=channels
            )
        except InputError as error:
            self._with.event(client, "Warning", "ResendRefused", str(error), client.resend or "", now)
            return outbox

    def _payment_link(
        self, client: Client, plan: Plan, facts: Facts, channels: Collection[Channel], request: str
    ) -> list[Notice]:
        """The message with a payment link. The link itself is made when the mail leaves; a status is read by many."""
        now, terms = self._with.clock.now(), plan.template.spec.payment_link
        problem = ""
        if terms is None:
            problem = f"the plan {client.plan} has no spec.paymentLink; set it, then ask again"
        elif Channel.MAIL not in channels:
            problem = f"the plan {client.plan} sends no mails; set its spec.notifications.fromAddress, then ask again"
        elif facts.is_purged or facts.is_terminated:
            problem = "the contract has ended; nobody completes payment details any more"
        if terms is None or problem:
            self._with.event(client, "Warning", "PaymentLinkRefused", problem, request, now)
            return []
        expires = now + timedelta(hours=terms.valid_hours)
        key = f"payment-link-{compact(now)}-{stable_digest(request)[:8]}"  # two may be asked for in one second
        return [Notice(key, NotificationKind.PAYMENT_LINK, {"expires": expires})]

    def _measure(self, before: Json, facts: Facts) -> None:
        """How long a decision took, and whether who is ready now was in time (FEATURES S2). Only once that is written:
        a pass that met another write is repeated."""
        approval, told = facts.approval, before.get("approval") or {}
        if approval is None:
            return
        if approval.decision is not None and approval.decided is not None and "decision" not in told:
            self._with.decided(approval.decision, (approval.decided - approval.requested).total_seconds())
        if approval.ready is not None and "readyTime" not in told:
            self._with.onboarded(not facts.overdue)

    def _settlement(self, client: Client, facts: Facts) -> int | None:
        """Points that the settlement has added to the account; None where nothing was left to settle."""
        name = facts.termination.settlement if facts.termination is not None else None
        movement = self._with.store.ledger.movements.get((client.name[0], name)) if name is not None else None
        return movement.fact.org_change if movement is not None else None
