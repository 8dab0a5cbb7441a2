"""What every model shares: naming, bounded strings, and the marks that become `x-kubernetes-*` extensions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from clientorg.api.meta import MAX_QUANTITY

type_ = type  # `type` is a field name in conditions

Json = dict[str, Any]


class ApiModel(BaseModel):
    """A part of an object: camelCase in YAML, snake_case in Python, unknown fields kept out."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, use_enum_values=True
    )


def cel(rule: str, message: str, *, message_expression: str | None = None, reason: str | None = None) -> Json:
    """One `x-kubernetes-validations` entry; the message says what is wrong and what to do.

    `message_expression` is a CEL expression for a message with values in it; `message` stays the fallback.
    """
    out: Json = {"rule": rule, "message": message}
    if message_expression:
        out["messageExpression"] = message_expression
    if reason:
        out["reason"] = reason
    return out


def in_words(pattern: str, message: str) -> Json:
    """A rule equal to `pattern`, for its message: the pattern alone is answered with the pattern.

    The pattern stays in the schema beside it, for editors and linters that know no CEL.
    """
    return {"x-kubernetes-validations": [cel(f"self.matches(r'''{pattern}''')", message)]}


def list_map(*keys: str) -> Json:
    """An associative list: server-side apply merges it by key and the server refuses a repeated key."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def field_at(rule: Json, path: str) -> Json:
    """The rule, with its error at a field below the one it is written on."""
    return {**rule, "fieldPath": path}


LIST_SET: Json = {"x-kubernetes-list-type": "set"}
LIST_ATOMIC: Json = {"x-kubernetes-list-type": "atomic"}
PRESERVE: Json = {"x-kubernetes-preserve-unknown-fields": True}
EMBEDDED: Json = {"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}

# One line of printable text that is not blank: nothing that could break a mail header or a terminal line.
LINE_PATTERN = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
EMAIL_PATTERN = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$"  # noqa: E501
LANGUAGE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE]|m|[eE][0-9]+)?$"
URL_PATTERN = r"^https?://[^\x00-\x20\x7f\"<>\\^`{|}]+$"

LINE_RULE: Json = in_words(
    LINE_PATTERN, "must be one line of text that is not blank; remove line breaks and control characters"
)
_LABEL: Json = in_words(
    DNS_LABEL_PATTERN, "must be lower-case letters, digits and '-', and begin and end with a letter or digit"
)
_NAME: Json = in_words(
    DNS_SUBDOMAIN_PATTERN,
    "must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.', letters or digits at both ends",
)
_EMAIL: Json = in_words(EMAIL_PATTERN, "must be one email address, for example yuki@acme.example")
_LANGUAGE: Json = in_words(LANGUAGE_PATTERN, "must be a BCP 47 language tag, for example en, ja or pt-BR")
_QUANTITY: Json = in_words(QUANTITY_PATTERN, "must be a Kubernetes quantity, for example 2, 500m, 8Gi or 1.5")
_URL: Json = in_words(
    URL_PATTERN, "must be an address that begins with https:// or http://, without spaces, quotes and brackets"
)

Line64 = Annotated[str, Field(min_length=1, max_length=64, pattern=LINE_PATTERN, json_schema_extra=LINE_RULE)]
Line128 = Annotated[str, Field(min_length=1, max_length=128, pattern=LINE_PATTERN, json_schema_extra=LINE_RULE)]
Line256 = Annotated[str, Field(min_length=1, max_length=256, pattern=LINE_PATTERN, json_schema_extra=LINE_RULE)]
Line1024 = Annotated[str, Field(min_length=1, max_length=1024, pattern=LINE_PATTERN, json_schema_extra=LINE_RULE)]
DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL_PATTERN, json_schema_extra=_LABEL)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN_PATTERN, json_schema_extra=_NAME)]
LicenseName = DnsLabel
Email = Annotated[str, Field(min_length=3, max_length=254, pattern=EMAIL_PATTERN, json_schema_extra=_EMAIL)]
Language = Annotated[str, Field(min_length=2, max_length=35, pattern=LANGUAGE_PATTERN, json_schema_extra=_LANGUAGE)]
Quantity = Annotated[str, Field(min_length=1, max_length=32, pattern=QUANTITY_PATTERN, json_schema_extra=_QUANTITY)]
Url = Annotated[str, Field(min_length=8, max_length=1024, pattern=URL_PATTERN, json_schema_extra=_URL)]
Count = Annotated[int, Field(ge=0, le=MAX_QUANTITY, json_schema_extra={"format": "int64"})]
SignedCount = Annotated[int, Field(ge=-MAX_QUANTITY, le=MAX_QUANTITY, json_schema_extra={"format": "int64"})]
Timestamp = Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})]


class LocalRef(ApiModel):
    """A reference to an object of the same namespace: no reference crosses a namespace (DESIGN section 1)."""

    name: ObjectName = Field(description="Name of the object, in the same namespace.")
