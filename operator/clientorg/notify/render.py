"""A message in the contact's language: subject, text and HTML from one template (issue 4). Pure.

Each template in templates/<language>/ says what it has to say once; the layouts make a subject, a text and an HTML
page of it. Values are values: what a user wrote is never a template (DESIGN rule 11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from jinja2 import PackageLoader, StrictUndefined, TemplateError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from clientorg.api.notifications import NotificationKind
from clientorg.errors import NotificationError
from clientorg.notify.kinds import kind_of, read_params
from clientorg.notify.language import Language, language_of
from clientorg.notify.lines import one_line, web_address

_Format = Literal["html", "text", "subject"]

_TONES: Final[Mapping[NotificationKind, str]] = {
    NotificationKind.THRESHOLD: "warning",
    NotificationKind.PAUSED: "warning",
    NotificationKind.DEACTIVATED: "warning",
    NotificationKind.WAITING: "warning",
    NotificationKind.REMINDER: "danger",
    NotificationKind.PURGED: "danger",
    NotificationKind.RESUMED: "good",
    NotificationKind.REACTIVATED: "good",
    NotificationKind.DELIVERY: "good",
    NotificationKind.BALANCE_NEGATIVE: "warning",
    NotificationKind.REJECTED: "warning",
    NotificationKind.TERMINATION_SCHEDULED: "warning",
    NotificationKind.TERMINATION_WITHDRAWN: "good",
    NotificationKind.TERMINATED: "danger",
    NotificationKind.POINTS_LOW: "warning",
    NotificationKind.POINTS_SHORT: "danger",
    NotificationKind.POINTS_RESTORED: "good",
    NotificationKind.PAYMENT_LINK: "warning",
    NotificationKind.TRIAL_ENDING: "warning",
}


@dataclass(frozen=True, slots=True)
class Brand:
    """The agency as its clients know it.

    Attributes:
        name: the agency's name.
        help_url, support_url: links; None where there is none.
        takes_replies: whether an answer to the mail reaches somebody (plan or pool have replyTo).
    """

    name: str
    help_url: str | None = None
    support_url: str | None = None
    takes_replies: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """Whom a message is about and for.

    Attributes:
        client: display name of the client; of the pool, where the message is to the agency.
        org_id: the client's Org ID; empty in a message to the agency.
        first_name: empty for a team.
        created: when what it tells happened.
        now: when it is sent; days that are left are counted from here, also when the mail comes late.
        params: as they stand in the outbox.
        license_names: display names of licenses, where they have one.
    """

    client: str
    org_id: str
    first_name: str
    last_name: str
    brand: Brand
    time_zone: ZoneInfo
    created: datetime
    now: datetime
    params: Mapping[str, str] = field(default_factory=dict)
    license_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message, ready to be sent; `language` is the BCP 47 tag of what it is written in."""

    subject: str
    text: str
    html: str
    language: str


def render(kind: str, language: str, context: Context) -> Rendered:
    """The message of a kind in the language of a BCP 47 tag, or in English where there is no such language.

    Raises:
        NotificationError: there is no such kind, a param is missing or wrong, or the template is broken. Permanent.
    """
    written = language_of(language)
    known = kind_of(kind)
    try:
        values = _values(known, written, context)
        subject, text, html = (_format(known, written, values, form) for form in ("subject", "text", "html"))
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        message = f"template {written.code}/{known.value}: {one_line(str(error)) or type(error).__name__}"
        raise NotificationError(message, permanent=True) from error
    return Rendered(one_line(subject), text, html, written.tag)


def _format(kind: NotificationKind, language: Language, values: Mapping[str, Any], form: _Format) -> str:
    template = _environment(form).get_template(f"{language.code}/{kind.value}.j2")
    return template.render(values)


def _values(kind: NotificationKind, language: Language, context: Context) -> dict[str, Any]:
    params, zone, brand = read_params(kind, context.params), context.time_zone, context.brand
    values: dict[str, Any] = {
        **params,
        "kind": kind.value,
        "tone": _TONES[kind],
        "lang": language.tag,
        "client": one_line(context.client),
        "org_id": one_line(context.org_id),
        "addressee": one_line(language.full_name(context.first_name, context.last_name)),
        "agency": one_line(brand.name),
        "help_url": web_address(brand.help_url),
        "support_url": web_address(brand.support_url),
        "takes_replies": brand.takes_replies,
        "created": context.created,
        "number": language.number,
        "percentage": language.percent,
        "plural": language.plural,
        "date": lambda moment: language.date(moment, zone),
        "moment": lambda moment: language.moment(moment, zone),
        "license_name": lambda name: one_line(context.license_names.get(name, name)),
    }
    if "purgeAfter" in params:
        left = params["purgeAfter"].astimezone(zone).date() - context.now.astimezone(zone).date()
        values["days_left"] = max(0, left.days)
    return values


@lru_cache(maxsize=3)
def _environment(form: _Format) -> ImmutableSandboxedEnvironment:
    """The environment of one format; its templates stay compiled."""
    undefined: type[Undefined] = StrictUndefined
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("clientorg.notify"),
        autoescape=form == "html",
        undefined=undefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.globals["layout"] = f"_layout.{form}.j2"
    environment.filters["paragraphs"] = _paragraphs
    parts = environment.get_template(f"_parts.{'html' if form == 'html' else 'text'}.j2").module
    for name in ("row", "button", "strong"):
        environment.globals[name] = getattr(parts, name)
    return environment


_BLANK_LINE: Final = re.compile(r"\n\s*\n")
_SPACE: Final = re.compile(r"[ \t\r\n]+")  # not the one that does not break, as in "80 %"


def _paragraphs(text: str) -> list[str]:
    """What stands between blank lines, each on one line; of the same kind of text as came in (escaped or not)."""
    parts = [_SPACE.sub(" ", part).strip() for part in _BLANK_LINE.split(text)]
    kind = Markup if isinstance(text, Markup) else str
    return [kind(part) for part in parts if part]
