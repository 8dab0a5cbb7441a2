"""A client's manifest from flags or answers (FEATURES Z1, A2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clientorg.api.meta import API_VERSION
from clientorg.cli.fields import FIELDS, PLAN, POOL, Field, put_in
from clientorg.cli.text import parse_count, plain
from clientorg.errors import InputError

Json = dict[str, Any]


@dataclass
class Draft:
    """What is known of a client to be created. `texts` is by the field's name."""

    name: str | None
    texts: dict[str, str] = field(default_factory=dict)
    licenses: dict[str, int] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    admins: list[Json] = field(default_factory=list)
    contracted_users: int | None = None
    reseller: dict[str, str] = field(default_factory=dict)
    requested_by: str | None = None

    def missing(self) -> list[Field]:
        """Required text fields that are not known yet, in the order of the flags."""
        return [item for item in (*FIELDS, POOL, PLAN) if item.required and not self.texts.get(item.name)]

    def missing_flags(self) -> list[str]:
        """Everything that is required and missing, as it is given on the command line."""
        return [
            *(["NAME"] if not self.name else []),
            *(item.flag for item in self.missing()),
            *(["--license NAME=QUANTITY"] if not self.licenses else []),
        ]

    def manifest(self, namespace: str | None) -> Json:
        """The ClientOrg; only what was given is in it, so that it reads well in Git."""
        spec: Json = {}
        for item in (*FIELDS, POOL, PLAN):
            value = self.texts.get(item.name)
            if value:
                put_in(spec, item.path, value)
        spec["licenses"] = [{"name": name, "quantity": quantity} for name, quantity in self.licenses.items()]
        if self.tags:
            spec["tags"] = self.tags
        if self.admins:
            spec["admins"] = self.admins
        if self.contracted_users is not None:
            spec["contractedUsers"] = self.contracted_users
        if self.reseller:
            spec["reseller"] = self.reseller
        if self.requested_by:
            spec["requestedBy"] = self.requested_by
        metadata = {"name": self.name, **({"namespace": namespace} if namespace else {})}
        return {"apiVersion": API_VERSION, "kind": "ClientOrg", "metadata": metadata, "spec": spec}


def parse_licenses(values: Iterable[str]) -> dict[str, int]:
    """`visitors=50000` for each license.

    Raises:
        InputError: one is not of that form, or a license is named twice.
    """
    licenses: dict[str, int] = {}
    for value in values:
        name, equals, count = value.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--license: {plain(value)!r} is not NAME=QUANTITY; write for example visitors=50000")
        if name in licenses:
            raise InputError(f"--license: {plain(name)!r} is given twice; give each license once")
        licenses[name] = parse_count(count, f"--license {plain(name)}")
    return licenses


def parse_reseller(name: str | None, email: str | None, reference: str | None) -> dict[str, str]:
    """Who sold to the client; empty where nobody else did.

    Raises:
        InputError: something of the reseller is given, and not the name.
    """
    found = {"name": name, "email": email, "reference": reference}
    given = {key: value for key, value in found.items() if value}
    if given and "name" not in given:
        raise InputError("--reseller: the name is required where --reseller-email or --reseller-reference is given")
    return given


_ROLES: Mapping[str, str] = {"full": "Full", "readonly": "ReadOnly", "read-only": "ReadOnly"}


def parse_admins(users: Iterable[str], groups: Iterable[str]) -> list[Json]:
    """`NAME` or `NAME=ROLE` for each admin; without a role it is the API's default, ReadOnly.

    Raises:
        InputError: there is no such role, or a name is given twice.
    """
    admins: list[Json] = []
    for kind, flag, values in (("User", "--admin", users), ("Group", "--admin-group", groups)):
        for value in values:
            name, equals, role = value.rpartition("=")
            name, role = (name, role) if equals else (value, "")
            admin: Json = {"name": name}
            if equals and role.casefold() not in _ROLES:
                raise InputError(f"{flag}: {plain(role)!r} is not a role; write {plain(name)}=full or =read-only")
            if any(name == other["name"] for other in admins):
                raise InputError(f"{flag}: {plain(name)!r} is given twice; give each admin once")
            if kind == "Group":
                admin["kind"] = kind
            if equals:
                admin["role"] = _ROLES[role.casefold()]
            admins.append(admin)
    return admins
