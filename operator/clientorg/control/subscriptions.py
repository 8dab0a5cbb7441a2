"""One pass over one subscription: its status. Whom it pauses, the client's pass decides."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.subscription import SubscriptionState
from clientorg.cluster.resources import SUBSCRIPTIONS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clientpass import Result
from clientorg.control.clock import Clock
from clientorg.control.objects import Name
from clientorg.control.portfolio import attention_of
from clientorg.control.store import Store
from clientorg.control.subscriptionstore import SubscriptionObject
from clientorg.domain.calendar import zone
from clientorg.domain.conditions import State, false, merge, true
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.subscription import (
    Attention,
    Overlap,
    next_change,
    overdue,
    overdue_from,
    overlaps,
    renews,
    state_of,
    term_at,
)
from clientorg.domain.timestamps import rfc3339

_MAX_SUMMARY = 1024


class SubscriptionReconciler:
    """Rolls terms forward in status, and says what a subscription is."""

    def __init__(self, api: Api, store: Store, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._clock = clock

    async def reconcile(self, name: Name) -> Result | None:
        """One pass. Raises ApiError and UnreachableError."""
        item = self._store.subscriptions.all.get(name)
        if item is None:
            return None
        now, attention = self._clock.now(), self._attention(item)
        status = self._status(item, attention, now)
        patch = merge_patch(item.status, status)
        if patch:
            body = {"metadata": {"resourceVersion": str(item.version)}, "status": patch}
            self._store.subscriptions.put(await self._api.patch(SUBSCRIPTIONS, *name, body, subresource="status"))
        return Result(next_due=next_change(item.facts, now, attention))

    def _attention(self, item: SubscriptionObject) -> Attention:
        """The terms of the client's plan; the defaults where there is no client, or no plan."""
        client = self._store.clients.get(item.client) if item.client is not None else None
        plan = self._store.plans.get((item.name[0], client.plan)) if client is not None else None
        if plan is None:
            return Attention(zone("UTC"))
        try:
            return attention_of(plan.template.spec, zone(plan.template.spec.time_zone))
        except ValueError:  # told at the client: its plan is invalid
            return Attention(zone("UTC"))

    def _status(self, item: SubscriptionObject, attention: Attention, now: datetime) -> Json:
        facts, time_zone = item.facts, attention.time_zone
        term, late = term_at(facts, now, time_zone), overdue(facts, now, attention)
        states = self._conditions(item, time_zone, state_of(facts, now, attention))
        end = _day(term.end, time_zone)
        summary = ", ".join(f"{product} {quantity}" for product, quantity in facts.products.items())
        return {
            "observedGeneration": item.generation,
            "state": state_of(facts, now, attention).value,
            "term": {"number": term.number, "startDate": _day(term.start, time_zone), "endDate": end},
            **({"renewalDate": end} if renews(facts) else {"expiryDate": end}),
            **({"unpaidSince": _day(overdue_from(late, 0, time_zone), time_zone)} if late is not None else {}),
            "licenseSummary": summary[:_MAX_SUMMARY],
            "conditions": merge(item.status.get("conditions") or (), states, item.generation, rfc3339(now)),
        }

    def _conditions(self, item: SubscriptionObject, time_zone: ZoneInfo, state: SubscriptionState) -> list[State]:
        problem = self._problem(item, time_zone)
        if problem is not None:
            reason, message = problem
            return [
                false(ConditionType.READY, reason, message),
                false(ConditionType.RECONCILING, reason),
                true(ConditionType.STALLED, reason, message),
            ]
        message = "the subscription counts"
        if state is SubscriptionState.READY_TO_SET_UP:
            message = f"an order without a client; make the client: kubectl clientorg setup {item.name[1]}"
        return [
            true(ConditionType.READY, Reason.ACCEPTED, message),
            false(ConditionType.RECONCILING, Reason.ACCEPTED),
            false(ConditionType.STALLED, Reason.ACCEPTED),
        ]

    def _problem(self, item: SubscriptionObject, time_zone: ZoneInfo) -> tuple[Reason, str] | None:
        if item.client is None:
            return None
        if item.client not in self._store.clients:
            return (
                Reason.CLIENT_NOT_FOUND,
                f"spec.clientRef.name: no ClientOrg {item.client[1]!r} in namespace {item.name[0]!r}; create it under "
                "this name, or make the Subscription anew for another",
            )
        others = [other.facts for other in self._store.subscriptions.of(item.client)]
        clash = overlaps(others, time_zone).get(item.name[1])
        return None if clash is None else (Reason.TERM_OVERLAPS, _overlap_message(clash))


def _day(moment: datetime, time_zone: ZoneInfo) -> str:
    day: date = moment.astimezone(time_zone).date()
    return day.isoformat()


def _overlap_message(clash: Overlap) -> str:
    until = f"until {clash.end}" if clash.end is not None else "and renews by itself"
    return (
        f"spec.startDate: {clash.product} are covered by Subscription {clash.other!r} already, which runs from "
        f"{clash.start} {until}. This one does not count; move its dates, end the other one (autoRenew: false), or "
        "change the licenses there instead"
    )
