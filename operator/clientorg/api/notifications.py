"""Notifications: what plans and pools say of them, and the outbox in a status (FEATURES Z6, Z9, S4, S6, S10, S11)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from clientorg.api.base import ApiModel, Email, Json, Line128, ObjectName, Timestamp, in_words

DEFAULT_SMTP_SECRET: Final = "clientorg-smtp"

MAX_OUTBOX: Final = 20
"""Entries in a client's outbox: what a person looks back on, at about 10 KiB an object at most times."""
MAX_PARAMS: Final = 16
MAX_PARAM_LENGTH: Final = 1024
"""A workspace's address is the longest of them (status.workspace.url)."""
MAX_KEY_LENGTH: Final = 128
MAX_ERROR_LENGTH: Final = 256

_ZONE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}$"
_ZONE_RULE: Final[Json] = in_words(
    _ZONE_PATTERN, "must be the IANA name of a time zone, for example Asia/Tokyo, Europe/Prague or UTC"
)
_TAIL: Final = r"[^\x00-\x20\x7f\"<>\\^`{|}@]"
HTTPS_PATTERN: Final = rf"^(https://{_TAIL}+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{{1,5}})?(/{_TAIL}*)?)$"
HTTPS_RULE: Final[Json] = in_words(
    HTTPS_PATTERN,
    "must be an address that begins with https:// (http:// on loopback only), without spaces, quotes, brackets and "
    "'@': a plan is readable, so that no user name and password belong here",
)

TimeZoneName = Annotated[str, Field(min_length=1, max_length=64, pattern=_ZONE_PATTERN, json_schema_extra=_ZONE_RULE)]
WebhookUrl = Annotated[str, Field(min_length=8, max_length=1024, pattern=HTTPS_PATTERN, json_schema_extra=HTTPS_RULE)]


class NotificationKind(StrEnum):
    """What a message is about; the name of its template and, as `dev.clientorg.<kind>.v1`, of its webhook event."""

    THRESHOLD = "threshold"
    PAUSED = "paused"
    RESUMED = "resumed"
    DEACTIVATED = "deactivated"
    REMINDER = "reminder"
    REACTIVATED = "reactivated"
    PURGED = "purged"
    DELIVERY = "delivery"
    WAITING = "waiting"
    BALANCE_NEGATIVE = "balance-negative"
    REJECTED = "rejected"
    TERMINATION_SCHEDULED = "termination-scheduled"
    TERMINATION_WITHDRAWN = "termination-withdrawn"
    TERMINATED = "terminated"
    POINTS_LOW = "points-low"
    POINTS_SHORT = "points-short"
    POINTS_RESTORED = "points-restored"
    PAYMENT_LINK = "payment-link"
    TRIAL_ENDING = "trial-ending"


class Channel(StrEnum):
    """Ways that a message goes."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    """Where a message stands on one channel."""

    PENDING = "Pending"
    SENT = "Sent"
    FAILED = "Failed"


class Webhook(ApiModel):
    """Where messages are posted to, for the agency's own systems."""

    url: WebhookUrl = Field(
        description="Address that messages are posted to as CloudEvents (JSON), by https. Redirects are not followed."
    )
    secret: ObjectName = Field(
        description="Name of a Secret in the same namespace whose key `secret` signs the messages, as "
        "whsec_<base64 of 24 to 64 random bytes>; two of them, with a space between, while one replaces the other."
    )


class Notifications(ApiModel):
    """What clients are told, in whose name. Mails go to a client's contact, in the contact's language."""

    sender_name: Line128 | None = Field(
        default=None,
        description="Name of the agency as clients read it: the sender of mails, and their signature. "
        "Absent means the name of the agency's namespace.",
    )
    from_address: Email | None = Field(
        default=None,
        description="Address that mails come from; the mail server has to accept it. Absent means no mails.",
    )
    reply_to: Email | None = Field(
        default=None, description="Address that answers to mails go to. Absent means fromAddress."
    )
    smtp_secret: ObjectName = Field(
        default=DEFAULT_SMTP_SECRET,
        description="Name of the Secret, in the same namespace, with the mail server and its credentials: host, port, "
        f"security, username, password, ca.crt (docs/notifications.md). Absent means {DEFAULT_SMTP_SECRET}.",
    )
    webhook: Webhook | None = Field(
        default=None, description="Where messages are posted to besides. Absent means nowhere."
    )


class Delivery(ApiModel):
    """Where a message stands on one channel."""

    state: DeliveryState = Field(
        description="Pending: still to be sent, or tried again. Sent: the server has taken it. "
        "Failed: given up; `kubectl clientorg notify --resend` sends it again."
    )
    attempts: int = Field(default=0, description="Tries that failed.", json_schema_extra={"format": "int32"})
    next_attempt: Timestamp | None = Field(
        default=None, description="When it is tried next. Absent while Pending means at once."
    )
    last_error: Annotated[str, Field(max_length=MAX_ERROR_LENGTH)] | None = Field(
        default=None, description="Why the last try failed, with what to do about it. Holds no credentials."
    )
    sent: Timestamp | None = Field(default=None, description="When the server took it.")
    resends: int = Field(
        default=0,
        description="How often it was sent anew on request. Each has another Message-ID and webhook-id, while a "
        "repeated try of one has the same.",
        json_schema_extra={"format": "int32"},
    )


class OutboxEntry(ApiModel):
    """One message to the client's contact and the agency's webhook."""

    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH)] = Field(
        description="What the message is about, for example reminder-2026-12-25-7. The same is sent once."
    )
    # Not an enum in the schema: after a rollback the older operator must still be able to write the status.
    kind: Annotated[str, Field(min_length=1, max_length=32)] = Field(
        description="Kind of message: " + ", ".join(NotificationKind) + "."
    )
    params: Annotated[dict[str, Annotated[str, Field(max_length=MAX_PARAM_LENGTH)]], Field(max_length=MAX_PARAMS)] = (
        Field(default={}, description="What the message says, in no language: numbers, dates in RFC 3339, names.")
    )
    created: Timestamp = Field(description="When what it tells happened.")
    mail: Delivery | None = Field(default=None, description="The mail. Absent: none is sent.")
    webhook: Delivery | None = Field(default=None, description="The post to the webhook. Absent: none is sent.")
