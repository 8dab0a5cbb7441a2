"""As whom somebody enters a workspace: the user entry of a kubeconfig, by the plan's login (FEATURES Z11, W2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from clientorg.api.access import AGENCY_ACCOUNT, SUPPORT_ACCOUNT, Login
from clientorg.errors import ForbiddenError, InputError, NotFoundError

if TYPE_CHECKING:
    from clientorg.cluster.rest import Api

Json = dict[str, Any]
_EXEC_API: Final = "client.authentication.k8s.io/v1"
_PAGE: Final = "docs/access.md"


@dataclass(frozen=True)
class Entry:
    """A user of a kubeconfig.

    Attributes:
        name: of the user.
        content: what to write; None where the user is there already.
        shown: as whom one enters, in words.
        expires: when the token in it ends, RFC 3339; None where there is none.
    """

    name: str
    content: Json | None
    shown: str
    expires: str | None = None


def oidc_user(login: Login, name: str) -> Entry:
    """Sign-in at the identity provider, by the plugin `kubectl oidc-login`.

    The program's name is ours and not the plan's: who writes plans must not choose what runs on people's machines.
    """
    assert login.oidc is not None
    scopes = [f"--oidc-extra-scope={scope}" for scope in login.oidc.extra_scopes]
    arguments = [f"--oidc-issuer-url={login.oidc.issuer_url}", f"--oidc-client-id={login.oidc.client_id}", *scopes]
    plugin = {
        "apiVersion": _EXEC_API,
        "command": "kubectl",
        "args": ["oidc-login", "get-token", *arguments],
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
        "installHint": "Signing in takes the plugin oidc-login: https://github.com/int128/kubelogin",
    }
    return Entry(name, {"exec": plugin}, f"yourself, signed in at {login.oidc.issuer_url}")


def accounts(*, as_support: bool) -> Sequence[str]:
    """ServiceAccounts to try, in order: whoever may not enter as the agency may perhaps as support."""
    return (SUPPORT_ACCOUNT,) if as_support else (AGENCY_ACCOUNT, SUPPORT_ACCOUNT)


async def token_user(api: Api, agency: str, plan: str, login: Login, suffix: str, *, as_support: bool) -> Entry:
    """A short-lived token (TokenRequest) of one of the agency's accounts.

    Args:
        suffix: of the user's name in the kubeconfig, after the account's.

    Raises:
        InputError: the account is not there, or none of them may be entered as.
    """
    from clientorg.cluster.resources import SERVICE_ACCOUNTS

    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": login.token_minutes * 60},
    }
    refused: list[str] = []
    for account in accounts(as_support=as_support):
        try:
            answer = await api.request("POST", SERVICE_ACCOUNTS.path(agency, account, "token"), None, request)
        except ForbiddenError:
            refused.append(account)
            continue
        except NotFoundError as error:
            raise InputError(
                f"plan {plan} lets people enter by tokens, and there is no ServiceAccount {account} in namespace "
                f"{agency}; make it: kubectl create serviceaccount {account} -n {agency} (see {_PAGE})"
            ) from error
        status = answer["status"]
        content = {"token": status["token"]}
        return Entry(f"{account}{suffix}", content, f"ServiceAccount {account}", status["expirationTimestamp"])
    raise InputError(
        f"plan {plan} lets people enter by tokens, and you may ask for none of {' or '.join(refused)} in namespace "
        f"{agency}; ask for the ClusterRole clientorg-access-agency or clientorg-access-support there (see {_PAGE})"
    )


def planned_token_user(suffix: str, *, as_support: bool) -> Entry:
    """Who it would be first, without asking for a token."""
    account = accounts(as_support=as_support)[0]
    return Entry(f"{account}{suffix}", None, f"ServiceAccount {account}")


async def end_tokens(api: Api, agency: str, account: str) -> bool:
    """Make the account anew, so that no token that was ever given out for it is good any more.

    Returns whether it was there.
    """
    from clientorg.cluster.resources import SERVICE_ACCOUNTS

    try:
        found = await api.get(SERVICE_ACCOUNTS, agency, account)
    except NotFoundError:
        return False
    metadata: Json = {"name": account, "namespace": agency}
    metadata |= {name: found["metadata"][name] for name in ("labels", "annotations") if name in found["metadata"]}
    again: Json = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    again |= {name: found[name] for name in ("automountServiceAccountToken", "imagePullSecrets") if name in found}
    await api.delete(SERVICE_ACCOUNTS, agency, account, uid=found["metadata"]["uid"])
    await api.create(SERVICE_ACCOUNTS, agency, again)
    return True
