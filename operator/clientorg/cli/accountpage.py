"""What `describe` shows of approval, users, points and the end of the contract (FEATURES S2, S5-S8, S11). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clientorg.cli.account import arithmetic, next_charges
from clientorg.cli.approvalrows import Standing, approval_row
from clientorg.cli.dates import Calendar
from clientorg.cli.planrules import PlanRules, rules_or_none
from clientorg.cli.table import pairs
from clientorg.cli.terminal import paint
from clientorg.cli.text import number, plain, plural, signed
from clientorg.domain.points import suspension
from clientorg.domain.points_record import PointsRecord, points_record
from clientorg.domain.timestamps import timestamp

Json = dict[str, Any]
Pair = tuple[str, str]

INDENT = "  "


def sections(client: Json, plan: Json | None, calendar: Calendar, now: datetime, *, color: bool) -> list[Any]:
    """Title and lines of each section; without lines where there is nothing to tell."""
    rules = rules_or_none(plan)
    return [
        ("Approval", list(pairs(approval_pairs(client, plan, now, color=color), INDENT))),
        ("Users", list(pairs(user_pairs(client, color=color), INDENT))),
        ("Points", list(pairs(point_pairs(client, rules, calendar, now, color=color), INDENT))),
        ("Termination", list(pairs(termination_pairs(client, calendar, now), INDENT))),
    ]


def approval_pairs(client: Json, plan: Json | None, now: datetime, *, color: bool) -> Iterator[Pair]:
    """Who asked and who decided; nothing for a client that nobody has to approve."""
    item = approval_row(client, plan, now)
    if item.requested_by:
        yield "Requested by", plain(item.requested_by)
    if item.standing in (Standing.NOT_ASKED, Standing.UNKNOWN):
        return
    tint = paint(item.word, {"overdue": "red", "rejected": "red", "waiting": "yellow"}.get(item.word), enabled=color)  # type: ignore[arg-type]
    yield "Approval", f"{tint} by {plain(item.by)}" if item.by else tint
    if item.decided is not None:
        yield "Decided", item.calendar.with_distance(item.decided, now)
    if item.reason:
        yield "Reason", plain(item.reason)
    if item.since is not None:
        yield "Waits since" if item.decided is None else "Requested", item.calendar.with_distance(item.since, now)
    yield "Waited", item.waited_text
    if item.due is not None:
        yield "To work by", item.calendar.with_distance(item.due, now)


def user_pairs(client: Json, *, color: bool) -> Iterator[Pair]:
    """Contracted and used; administrators are not counted."""
    users = (client.get("status") or {}).get("users")
    if not users or not (users.get("contracted") or users.get("used")):
        return
    contracted, used = users.get("contracted", 0), users.get("used")
    asked = (client.get("spec") or {}).get("contractedUsers") or 0
    later = f", {number(asked)} from the next period on" if asked < contracted else ""
    yield "Contracted", f"{number(contracted)}{later}"
    over = (used or 0) - contracted
    text = number(used) if over <= 0 else f"{number(used)} ({number(over)} too many)"
    yield "Used", paint(text, "red" if over > 0 else None, enabled=color)


def point_pairs(
    client: Json, rules: PlanRules | None, calendar: Calendar, now: datetime, *, color: bool
) -> Iterator[Pair]:
    """Balance, the next charge with its arithmetic, what is left after it, and when a negative balance pauses."""
    points = points_record(client)
    if points is None:
        return
    yield "Balance", paint(number(points.balance), "red" if points.balance < 0 else None, enabled=color)
    if points.pending:
        yield "Not posted yet", signed(points.pending)
    yield from _next_charge(client, rules, points, calendar, now)
    if points.runway_months is not None:
        yield "Runway", f"{plural(points.runway_months, 'charge')} like the next"
    if points.negative_since is not None:
        yield "Below zero", f"since {calendar.with_distance(points.negative_since, now)}"
        if rules is not None and rules.billing is not None and "NegativeBalance" not in _pause_reasons(client):
            pauses = suspension(points.negative_since, rules.billing)
            yield "Is paused", f"{calendar.with_distance(pauses, now)}, if it is still below zero then"


def _next_charge(
    client: Json, rules: PlanRules | None, points: PointsRecord, calendar: Calendar, now: datetime
) -> Iterator[Pair]:
    charge = next(iter(next_charges(client, rules.billing if rules is not None else None, 1)), None)
    if charge is None:
        return
    yield "Next charge", f"{arithmetic(charge)} points for {charge.period}, {calendar.with_distance(charge.due, now)}"
    yield "Projected", f"{number(points.balance - charge.amount)} after it"


def _pause_reasons(client: Json) -> list[str]:
    return list((client.get("status") or {}).get("pauseReasons") or ())


def termination_pairs(client: Json, calendar: Calendar, now: datetime) -> Iterator[Pair]:
    """When the contract ends or ended, by whose consent, and the settlement."""
    status, wanted = client.get("status") or {}, (client.get("spec") or {}).get("termination")
    found = status.get("termination") or {}
    if not wanted and not found:
        return
    executed, scheduled = timestamp(found.get("executedTime")), timestamp((wanted or {}).get("time"))
    if executed is not None:
        yield "Terminated", calendar.with_distance(executed, now)
    elif scheduled is not None:
        yield "Ends", calendar.with_distance(scheduled, now)
    else:
        yield "Ends", "now"
    consent = (wanted or {}).get("consent") or {}
    if consent:
        accepted = timestamp(consent.get("acceptedTime"))
        when = f", {calendar.full(accepted)}" if accepted is not None else ""
        yield "Consent", f"{plain(consent.get('acceptedBy', ''))}{when}: {plain(consent.get('text', ''))}"
    settled = timestamp(found.get("settledTime"))
    if settled is not None:
        what = plain(found["settlement"]) if found.get("settlement") else "nothing was left"
        yield "Settled", f"{calendar.with_distance(settled, now)} ({what})"
    elif executed is not None:
        yield "Settled", "not yet"
