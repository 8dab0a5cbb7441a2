"""The link by which a client completes its payment details (FEATURES A3)."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from clientorg.api.base import ApiModel, Json, ObjectName, cel
from clientorg.api.notifications import HTTPS_PATTERN, HTTPS_RULE

TOKEN_VARIABLE: Final = "$(token)"
DEFAULT_PAYMENT_SECRET: Final = "clientorg-payment"

_RULES: Final[Json] = {
    "x-kubernetes-validations": [
        *HTTPS_RULE["x-kubernetes-validations"],
        cel(
            f"self.split('{TOKEN_VARIABLE}').size() == 2",
            f"has to contain {TOKEN_VARIABLE} once: it is what makes the link the client's own",
        ),
        cel(
            "!self.split('/')[2].contains('$(')",
            "the host may not contain a variable: the token is signed for it, and whoever names a client would choose "
            "where it leads",
        ),
    ]
}


LinkTemplate = Annotated[str, Field(min_length=8, max_length=512, pattern=HTTPS_PATTERN, json_schema_extra=_RULES)]


class PaymentLink(ApiModel):
    """The link to the agency's payment page: signed for one client, for one purpose, and only for a while."""

    url_template: LinkTemplate = Field(
        description="Address of the payment page, by https, with $(token) where the signed token goes; in the part "
        "after # it reaches no server's log. May contain $(name), $(orgID), $(namespace), $(displayName), $(agency), "
        "$(language)."
    )
    secret: ObjectName = Field(
        default=DEFAULT_PAYMENT_SECRET,
        description="Name of a Secret in the same namespace with the signing keys: each entry is a key under its ID, "
        "as the base64 of 32 to 64 random bytes; of two, the entry `current` names the one that signs. "
        f"Absent means {DEFAULT_PAYMENT_SECRET}.",
    )
    valid_hours: Annotated[int, Field(ge=1, le=720)] = Field(
        default=72, description="Hours from the request for which a link is valid. Absent means 72."
    )
