"""What all actions share: a form of the session's own, an agreement to what was shown, and no double writes.

A preview carries a fingerprint of what it shows. What is confirmed is looked at once more, and carried out only if it
would still do the same; else it is shown anew. Nothing in it may move on with the clock alone while a person reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from clientorg.cli.failures import explain
from clientorg.cli.gitowner import git_owner
from clientorg.dashboard.guard import FORM_FIELD
from clientorg.dashboard.rights import Right
from clientorg.dashboard.view import View
from clientorg.errors import ClientOrgError, ConflictError, ForbiddenError, InputError, InvalidError

AGREED = "agreed"
MOST_BYTES = 16_384


class RefusedFormError(Exception):
    """The form is none of this session's, or is too long."""


async def read_form(view: View) -> Mapping[str, str]:
    """The fields of a posted form.

    Raises:
        RefusedFormError: it does not carry the session's token.
    """
    body = b""
    async for chunk in view.request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise RefusedFormError
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if not view.house.keys.opens(view.request, fields.get(FORM_FIELD, "")):
        raise RefusedFormError
    return fields


async def form_or_address(view: View) -> Mapping[str, str]:
    """The fields of a posted form, or of the address while a preview is asked for."""
    if view.request.method == "POST":
        return await read_form(view)
    return {key: value for key, value in view.query.items() if isinstance(value, str)}


def day_of(moment: str) -> str:
    """Of an RFC 3339 time."""
    return moment.partition("T")[0]


def fingerprint(shown: object) -> str:
    """Of what a person agrees to."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True, default=str).encode()).hexdigest()[:32]


def text_or_none(value: str | None) -> str | None:
    """What was written into an optional field."""
    return (value or "").strip() or None


def is_preview(request: Request) -> bool:
    """Whether only the preview of a form is asked for, while it is filled in."""
    return request.headers.get("hx-request") == "true"


def check_right(view: View, right: Right) -> None:
    """Raise InputError where the user may not; the server would refuse as well."""
    if right not in view.held:
        raise InputError(view.speech("action.no_right", right=right))


def check_not_in_git(view: View, client: dict[str, Any]) -> None:
    """Raise InputError where Git would undo the change at its next sync, as the commands do without --force."""
    owner = git_owner(client)
    if owner is not None:
        raise InputError(view.speech("action.in_git", owner=owner, evidence=owner.evidence))


def status_of(error: ClientOrgError) -> int:
    """The HTTP status of a page that tells an error."""
    if isinstance(error, ForbiddenError):
        return 403
    if isinstance(error, ConflictError):
        return 409
    return 422 if isinstance(error, InputError | InvalidError) else 502


def refused(view: View, template: str, error: ClientOrgError, **values: object) -> Response:
    """The form again, with what is wrong."""
    return view.render(template, status=status_of(error), faults=explain(error), **values)
