"""Fields of a client and their flags: one table for create, edit-contact and for naming the flag in an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

Json = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A text field below `spec`."""

    name: str
    path: tuple[str, ...]
    label: str
    required: bool = False

    @property
    def flag(self) -> str:
        """Its flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def dotted(self) -> str:
        """Its path as the server writes it in errors."""
        return ".".join(("spec", *self.path))


FIELDS = (
    Field("display_name", ("displayName",), "Display name", required=True),
    Field("first_name", ("contact", "firstName"), "Contact's first name", required=True),
    Field("last_name", ("contact", "lastName"), "Contact's last name", required=True),
    Field("email", ("contact", "email"), "Contact's email", required=True),
    Field("language", ("contact", "language"), "Contact's language"),
    Field("phone", ("contact", "phone"), "Contact's phone"),
    Field("organization", ("organization",), "Registered company name"),
    Field("industry", ("industry",), "Industry"),
    Field("street", ("address", "street"), "Street"),
    Field("city", ("address", "city"), "City"),
    Field("region", ("address", "region"), "Region"),
    Field("postal_code", ("address", "postalCode"), "Postal code"),
    Field("country", ("address", "country"), "Country"),
)
"""What edit-contact changes and create sets."""

POOL = Field("pool", ("poolRef", "name"), "Pool", required=True)
PLAN = Field("plan", ("planRef", "name"), "Plan", required=True)

_OTHER_FLAGS = {
    "metadata.name": "NAME",
    "spec.poolRef": "--pool",
    "spec.planRef": "--plan",
    "spec.contact": "--first-name, --last-name, --email",
    "spec.licenses": "--license",
    "spec.tags": "--tag",
    "spec.admins": "--admin",
    "spec.contractedUsers": "--contracted-users",
    "spec.requestedBy": "--requested-by",
    "spec.reseller.name": "--reseller",
    "spec.reseller.email": "--reseller-email",
    "spec.reseller.reference": "--reseller-reference",
    "spec.termination.time": "--at",
    "spec.termination.consent.acceptedBy": "--accepted-by",
    "spec.termination.consent.acceptedTime": "--accepted-time",
    "spec.termination.consent.text": "--consent-text",
}


def flag_of(path: str) -> str | None:
    """The flag that sets a field, by its path in the server's words (`spec.licenses[0].quantity`)."""
    for field in (*FIELDS, POOL, PLAN):
        if path == field.dotted:
            return field.flag
    return next((flag for start, flag in _OTHER_FLAGS.items() if path.startswith(start)), None)


def get_in(spec: Json, path: tuple[str, ...]) -> str | None:
    """The text at a path; None when absent."""
    value: Any = spec
    for key in path:
        value = (value or {}).get(key)
    return value if isinstance(value, str) else None


def put_in(spec: Json, path: tuple[str, ...], value: str | None) -> None:
    """Set the value at a path, making what is on the way."""
    for key in path[:-1]:
        spec = spec.setdefault(key, {})
    spec[path[-1]] = value


def _text(flag: str, metavar: str, help_text: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=help_text)


DisplayName = Annotated[str | None, _text("--display-name", "TEXT", "Name of the client as people write it.")]
FirstName = Annotated[str | None, _text("--first-name", "TEXT", "First name of the primary contact.")]
LastName = Annotated[str | None, _text("--last-name", "TEXT", "Last name of the primary contact.")]
Email = Annotated[str | None, _text("--email", "ADDRESS", "Email address of the primary contact.")]
Language = Annotated[str | None, _text("--language", "TAG", "Language the contact is written to: en, ja, cs, hi …")]
Phone = Annotated[str | None, _text("--phone", "NUMBER", "Telephone number of the contact, with the country code.")]
Organization = Annotated[
    str | None, _text("--organization", "TEXT", "Registered name of the company, where it differs.")
]
Industry = Annotated[str | None, _text("--industry", "TEXT", "Industry, free text.")]
Street = Annotated[str | None, _text("--street", "TEXT", "Address: street and number.")]
City = Annotated[str | None, _text("--city", "TEXT", "Address: city.")]
Region = Annotated[str | None, _text("--region", "TEXT", "Address: state, prefecture or region.")]
PostalCode = Annotated[str | None, _text("--postal-code", "TEXT", "Address: postal code.")]
Country = Annotated[str | None, _text("--country", "CODE", "Address: country, ISO 3166-1 alpha-2, for example JP.")]
