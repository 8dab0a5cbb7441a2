"""Who of the provider enters a workspace, and what they may do there (FEATURES A4, W7, S13). Pure.

Both sides have to want it: the agency asks (spec.agencyAccess), the client grants (the workspace's ConfigMap), and the
lesser of both holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from clientorg.api.access import (
    AGENCY_ACCOUNT,
    GRANT_AGENCY,
    GRANT_SUPPORT,
    SUPPORT_ACCOUNT,
    Access,
    AccessLevel,
    AdminRole,
    LabelSelector,
    LoginMethod,
    SelectorOperator,
)

Json = dict[str, Any]
_ORDER: Final = (AccessLevel.NONE, AccessLevel.READ_ONLY, AccessLevel.FULL)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client grants the provider's people."""

    agency: AccessLevel
    support: AccessLevel

    @property
    def data(self) -> dict[str, str]:
        """As the workspace's ConfigMap says it."""
        return {GRANT_AGENCY: self.agency.value, GRANT_SUPPORT: self.support.value}


def first_grant(offer: AccessLevel) -> Grant:
    """What a new workspace grants: all that is asked for, until the client says otherwise."""
    return Grant(offer, AccessLevel.READ_ONLY)


def read_grant(data: Mapping[str, str]) -> Grant:
    """What the ConfigMap says. Whatever cannot be read grants nothing: the policy admits no such thing, and where there
    is no policy, nobody gets in by a slip."""
    return Grant(_level(data.get(GRANT_AGENCY)), min(_level(data.get(GRANT_SUPPORT)), AccessLevel.READ_ONLY, key=rank))


def _level(text: str | None) -> AccessLevel:
    return AccessLevel(text) if text in tuple(AccessLevel) else AccessLevel.NONE


def rank(level: AccessLevel) -> int:
    """So that levels can be compared."""
    return _ORDER.index(level)


def agency_level(offer: AccessLevel, grant: Grant | None) -> AccessLevel:
    """What the agency's people may do, at most; without a grant, that of a new workspace."""
    return min(offer, (grant or first_grant(offer)).agency, key=rank)


def support_level(grant: Grant | None) -> AccessLevel:
    """What support accounts may do."""
    return grant.support if grant is not None else AccessLevel.READ_ONLY


def access_json(offer: AccessLevel, grant: Grant) -> Json:
    """The part of the status."""
    return {
        "agency": agency_level(offer, grant).value,
        "granted": grant.agency.value,
        "support": grant.support.value,
    }


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector means a client with these labels (meta/v1 LabelSelector); an absent one means all."""
    if selector is None:
        return True
    if any(labels.get(key) != value for key, value in (selector.match_labels or {}).items()):
        return False
    for requirement in selector.match_expressions or ():
        found, values = labels.get(requirement.key), requirement.values or ()
        holds = {
            SelectorOperator.IN: found is not None and found in values,
            SelectorOperator.NOT_IN: found is None or found not in values,
            SelectorOperator.EXISTS: found is not None,
            SelectorOperator.DOES_NOT_EXIST: found is None,
        }
        if not holds[SelectorOperator(requirement.operator)]:
            return False
    return True


def rbac_subject(kind: str, name: str) -> Json:
    """A user or group as a RoleBinding has it."""
    return {"kind": kind, "apiGroup": "rbac.authorization.k8s.io", "name": name}


@dataclass(frozen=True, slots=True)
class Entrants:
    """Subjects of the provider, as RoleBindings have them."""

    full: tuple[Json, ...]
    readers: tuple[Json, ...]
    support: tuple[Json, ...]


def entrants(
    access: Access,
    agency: str,
    labels: Mapping[str, str],
    support: Iterable[Mapping[str, Any]],
    offer: AccessLevel,
    grant: Grant | None,
) -> Entrants:
    """Who of the provider enters, and as what.

    Args:
        agency: the agency's namespace, whose ServiceAccounts enter where people sign in with their tokens.
        labels: of the ClientOrg.
        support: the client's own spec.support.
    """
    level = agency_level(offer, grant)
    full: list[Json] = []
    readers: list[Json] = []
    if level is not AccessLevel.NONE:
        for subject in access.agency:
            if selects(subject.client_selector, labels):
                is_full = level is AccessLevel.FULL and subject.role == AdminRole.FULL
                (full if is_full else readers).append(rbac_subject(str(subject.kind), subject.name))
    supporters: list[Json] = []
    if support_level(grant) is not AccessLevel.NONE:
        chosen = [(str(s.kind), s.name) for s in access.support if selects(s.client_selector, labels)]
        own = [(item.get("kind", "Group"), item["name"]) for item in support]
        supporters = [rbac_subject(kind, name) for kind, name in dict.fromkeys((*chosen, *own))]
    if access.login.method == LoginMethod.TOKEN:
        if level is not AccessLevel.NONE:
            (full if level is AccessLevel.FULL else readers).append(_account(AGENCY_ACCOUNT, agency))
        if support_level(grant) is not AccessLevel.NONE:
            supporters.append(_account(SUPPORT_ACCOUNT, agency))
    return Entrants(tuple(full), tuple(readers), tuple(supporters))


def _account(name: str, namespace: str) -> Json:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
