"""A client as a row: what lists, tables and CSV show of it (FEATURES Z12). Pure; printers come after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientorg.cli.text import number
from clientorg.domain.points_record import status_points
from clientorg.domain.timestamps import timestamp
from clientorg.domain.usage import percent_used

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LicenseRow:
    """One license of a client. What the operator has not reported yet is None."""

    name: str
    wanted: int | None
    granted: int | None
    used: int | None

    @property
    def remaining(self) -> int | None:
        """Granted minus used; a client that reports no use has used nothing."""
        return None if self.granted is None else self.granted - (self.used or 0)

    @property
    def percent(self) -> int | None:
        """How much of what is granted is used, rounded down, as the thresholds count it; None: not known."""
        if self.granted is None or self.used is None or not (self.granted or self.used):
            return None
        return percent_used(self.used or 0, self.granted)

    @property
    def missing(self) -> int:
        """What is asked for and not granted."""
        return max(0, (self.wanted or 0) - (self.granted or 0))


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client, flat."""

    namespace: str
    name: str
    uid: str
    display_name: str
    email: str
    contact: str
    organization: str
    industry: str
    state: str
    ready: str
    reason: str
    message: str
    plan: str
    pool: str
    org_id: str
    workspace: str
    url: str
    tags: tuple[str, ...]
    licenses: tuple[LicenseRow, ...]
    created: datetime | None
    waiting_since: datetime | None
    queue_position: int | None
    pause_reasons: tuple[str, ...]
    deactivated_since: datetime | None
    purge_after: datetime | None
    users_contracted: int | None = None
    users_used: int | None = None
    balance: int | None = None
    ends: datetime | None = None
    """When the contract ends, or ended."""
    statuses: tuple[str, ...] = ()
    """What the operator derives from subscriptions and use (row W1), the most urgent first."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def granted(self) -> int:
        """All licenses together; only for sorting."""
        return sum(item.granted or 0 for item in self.licenses)

    @property
    def used(self) -> int:
        """All licenses together; only for sorting."""
        return sum(item.used or 0 for item in self.licenses)

    @property
    def percent(self) -> int | None:
        """Of the license that is used up most."""
        return max((item.percent for item in self.licenses if item.percent is not None), default=None)

    @property
    def shown_reason(self) -> str:
        """Why the client is or is not Ready; of a paused one why it is paused."""
        return ",".join(self.pause_reasons) if self.reason == "Paused" and self.pause_reasons else self.reason

    @property
    def share_used(self) -> float:
        """Of the license that is used up most: used / granted. Without a grant any use is infinite."""
        shares = ((item.used or 0, item.granted or 0) for item in self.licenses)
        return max((u / g if g else float("inf") if u else 0.0 for u, g in shares), default=0.0)


def condition(item: Json, kind: str) -> Json:
    """A condition of an object, or an empty dict."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    found: Json = next((c for c in conditions if c.get("type") == kind), {})
    return found


def license_rows(item: Json) -> tuple[LicenseRow, ...]:
    """Licenses wanted (spec) and held (status), by name in the order of the spec, then what is only held."""
    wanted = {entry["name"]: entry.get("quantity") for entry in item.get("spec", {}).get("licenses") or ()}
    held = {entry["name"]: entry for entry in (item.get("status") or {}).get("licenses") or ()}
    return tuple(
        LicenseRow(name, wanted.get(name), held.get(name, {}).get("granted"), held.get(name, {}).get("used"))
        for name in dict.fromkeys((*wanted, *held))
    )


def state_of(item: Json) -> str:
    """The state; an object that is being deleted says so before the operator has seen it."""
    if item["metadata"].get("deletionTimestamp"):
        return "Deleting"
    return str((item.get("status") or {}).get("state") or "")


def client_row(item: Json) -> ClientRow:
    """The row of a ClientOrg."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    contact, workspace = spec.get("contact") or {}, status.get("workspace") or {}
    pending, ready = status.get("pending") or {}, condition(item, "Ready")
    deactivation, users = status.get("deactivation") or {}, status.get("users") or {}
    termination = status.get("termination") or {}
    is_purged = "purgedTime" in deactivation
    return ClientRow(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        display_name=spec.get("displayName", ""),
        email=contact.get("email", ""),
        contact=f"{contact.get('firstName', '')} {contact.get('lastName', '')}".strip(),
        organization=spec.get("organization", ""),
        industry=spec.get("industry", ""),
        state=state_of(item),
        ready=ready.get("status", ""),
        reason=ready.get("reason", ""),
        message=ready.get("message", ""),
        plan=(spec.get("planRef") or {}).get("name", ""),
        pool=(spec.get("poolRef") or {}).get("name", ""),
        org_id=status.get("orgID", ""),
        workspace=workspace.get("namespace", ""),
        url=workspace.get("url", ""),
        tags=tuple(spec.get("tags") or ()),
        licenses=license_rows(item),
        created=timestamp(metadata.get("creationTimestamp")),
        waiting_since=timestamp(pending.get("since")),
        queue_position=pending.get("position"),
        pause_reasons=tuple(status.get("pauseReasons") or ()),
        deactivated_since=timestamp(deactivation.get("since")),
        purge_after=None if is_purged else timestamp(deactivation.get("purgeAfter")),
        users_contracted=users.get("contracted"),
        users_used=users.get("used"),
        balance=status_points(item).get("balance"),
        ends=timestamp(termination.get("executedTime") or termination.get("scheduledTime")),
        statuses=tuple(status.get("standing") or ()),
    )


def usage_text(licenses: Iterable[LicenseRow]) -> str:
    """`visitors 1,200/50,000, seats 3/5`: used of granted; `-` for what is not reported."""
    return ", ".join(f"{item.name} {number(item.used)}/{number(item.granted)}" for item in licenses)


def remaining_text(licenses: Iterable[LicenseRow]) -> str:
    """What is left of each license, in the same order as `usage_text`."""
    return ", ".join(number(item.remaining) for item in licenses)
