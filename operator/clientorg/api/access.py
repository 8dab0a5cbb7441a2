"""Who may enter workspaces: people and groups, what they may do there, and how they sign in (FEATURES A4, W7, S13)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from clientorg.api.base import (
    LINE_PATTERN,
    LINE_RULE,
    LIST_ATOMIC,
    LIST_SET,
    ApiModel,
    Json,
    cel,
    in_words,
    list_map,
)

GRANT_NAME: Final = "clientorg-access"
"""The ConfigMap of a workspace in which the client says what the provider's people may do there."""
GRANT_AGENCY: Final = "agencyAccess"
GRANT_SUPPORT: Final = "supportAccess"
GRANT_VERB: Final = "grant-access"
"""Custom verb on that ConfigMap; only the client's Full admins have it (manifests/policies/workspace-access.yaml)."""

AGENCY_ACCOUNT: Final = "clientorg-agency"
SUPPORT_ACCOUNT: Final = "clientorg-support"
"""ServiceAccounts of an agency whose tokens lead into workspaces, where the plan's login is Token. The names are fixed:
roles name them (manifests/rbac-roles.yaml)."""

_RESERVED: Final = "system:"
_PRINCIPAL_RULES: Final[Json] = {
    "x-kubernetes-validations": [
        *LINE_RULE["x-kubernetes-validations"],
        cel(
            f"!self.startsWith('{_RESERVED}')",
            f"names that begin with '{_RESERVED}' are Kubernetes' own (system:masters, system:authenticated, service "
            "accounts) and would let in everybody or nobody; name a person or a group of your identity provider",
        ),
        cel("self == self.trim()", "has a blank before or behind it, and so would be nobody's name; remove it"),
    ]
}
PrincipalName = Annotated[
    str, Field(min_length=1, max_length=256, pattern=LINE_PATTERN, json_schema_extra=_PRINCIPAL_RULES)
]


class AdminRole(StrEnum):
    """What somebody may do in the workspace."""

    FULL = "Full"
    READ_ONLY = "ReadOnly"


class AccessLevel(StrEnum):
    """What the provider's people may do in the workspace, at most."""

    FULL = "Full"
    READ_ONLY = "ReadOnly"
    NONE = "None"


class SubjectKind(StrEnum):
    """Kind of an RBAC subject."""

    USER = "User"
    GROUP = "Group"


class Subject(ApiModel):
    """An RBAC subject: a user or a group."""

    kind: SubjectKind = Field(default=SubjectKind.GROUP, description="User or Group. Absent means Group.")
    name: PrincipalName = Field(description="Name of the user or group as the API server knows it.")


class SelectorOperator(StrEnum):
    """How a label is compared (meta/v1 LabelSelectorOperator)."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


_LABEL_KEY_PATTERN: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_LABEL_KEY_RULE: Final[Json] = in_words(_LABEL_KEY_PATTERN, "must be the key of a label, for example tier")
_LABEL_VALUE_PATTERN: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_LABEL_VALUE_RULE: Final[Json] = in_words(_LABEL_VALUE_PATTERN, "must be the value of a label, for example gold")
LabelKey = Annotated[
    str, Field(min_length=1, max_length=317, pattern=_LABEL_KEY_PATTERN, json_schema_extra=_LABEL_KEY_RULE)
]
LabelValue = Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE_PATTERN, json_schema_extra=_LABEL_VALUE_RULE)]


class SelectorRequirement(ApiModel):
    """One requirement on a label."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                    "In and NotIn take values, Exists and DoesNotExist take none",
                )
            ]
        }
    )

    key: LabelKey = Field(description="Key of the label.")
    operator: SelectorOperator = Field(description="In, NotIn, Exists or DoesNotExist.")
    values: Annotated[list[LabelValue], Field(max_length=16, json_schema_extra=LIST_SET)] | None = Field(
        default=None, description="Values, for In and NotIn."
    )


class LabelSelector(ApiModel):
    """Which clients are meant, by the labels of their ClientOrgs; an empty one means all (meta/v1 LabelSelector)."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=16)] | None = Field(
        default=None, description="Labels that the client has to have, all of them."
    )
    match_expressions: (
        Annotated[list[SelectorRequirement], Field(max_length=8, json_schema_extra=LIST_ATOMIC)] | None
    ) = Field(default=None, description="Further requirements, all of which have to hold.")


_SELECTOR_HELP: Final = "Only for clients whose labels match. Absent means every client on this plan."


class AgencySubject(Subject):
    """Somebody of the agency who enters workspaces."""

    role: AdminRole = Field(
        default=AdminRole.FULL,
        description="Full or ReadOnly; never more than the client grants. Absent means Full.",
    )
    client_selector: LabelSelector | None = Field(default=None, description=_SELECTOR_HELP)


class SupportSubject(Subject):
    """A support account: looks into workspaces, and changes nothing."""

    client_selector: LabelSelector | None = Field(default=None, description=_SELECTOR_HELP)


class LoginMethod(StrEnum):
    """As whom `kubectl clientorg access` lets people enter."""

    OWN = "Own"
    TOKEN = "Token"
    OIDC = "OIDC"


_ISSUER_PATTERN: Final = r"^https://[^\x00-\x20\x7f\"<>\\^`{|}?#]+$"
_ISSUER_RULE: Final[Json] = in_words(_ISSUER_PATTERN, "must be an address that begins with https://, without ? and #")
_WORD_PATTERN: Final = r"^[A-Za-z0-9._~:/-]+$"
_WORD_RULE: Final[Json] = in_words(_WORD_PATTERN, "has letters, digits and . _ ~ : / - only")
_Word = Annotated[str, Field(min_length=1, max_length=256, pattern=_WORD_PATTERN, json_schema_extra=_WORD_RULE)]


class OidcLogin(ApiModel):
    """The identity provider that the API server trusts. Public clients only: there is no secret in a plan."""

    issuer_url: Annotated[
        str, Field(min_length=9, max_length=512, pattern=_ISSUER_PATTERN, json_schema_extra=_ISSUER_RULE)
    ] = Field(alias="issuerURL", description="Address of the issuer, for example https://id.example.")
    client_id: _Word = Field(alias="clientID", description="Client ID that kubectl signs in with.")
    extra_scopes: Annotated[list[_Word], Field(max_length=16, json_schema_extra=LIST_SET)] = Field(
        default=[], description="Scopes to ask for besides openid, for example groups. Absent means none."
    )


class Login(ApiModel):
    """As whom `kubectl clientorg access` lets people enter the workspaces of clients on this plan."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "has(self.oidc) == (has(self.method) && self.method == 'OIDC')",
                    "oidc is given with method OIDC, and only then",
                )
            ]
        }
    )

    method: LoginMethod = Field(
        default=LoginMethod.OWN,
        description="Own: with the credentials that the command itself runs with. Token: with a short-lived token "
        f"(TokenRequest) of the agency's ServiceAccount {AGENCY_ACCOUNT} or {SUPPORT_ACCOUNT}, which then enter the "
        "workspaces too. OIDC: with `kubectl oidc-login`, as oneself. Absent means Own.",
    )
    token_minutes: Annotated[int, Field(ge=10, le=1440)] = Field(
        default=60, description="Minutes that a token is good for, with method Token. Absent means 60."
    )
    oidc: OidcLogin | None = Field(default=None, description="The identity provider, with method OIDC.")


class Access(ApiModel):
    """Who of the provider may enter the workspaces of clients on this plan."""

    agency: Annotated[list[AgencySubject], Field(max_length=16, json_schema_extra=list_map("kind", "name"))] = Field(
        default=[],
        description="Admins of the agency. What they may do is the least of their role, the client's "
        f"spec.agencyAccess, and what the client grants in the workspace's ConfigMap {GRANT_NAME}. Absent means none.",
    )
    support: Annotated[list[SupportSubject], Field(max_length=16, json_schema_extra=list_map("kind", "name"))] = Field(
        default=[], description="Support accounts: read-only access to each workspace. Absent means none."
    )
    login: Login = Field(default=Login(), description="As whom `kubectl clientorg access` lets people enter.")
