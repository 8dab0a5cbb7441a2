"""Errors as one clear line: what happened, in which field, and what to do about it."""

from __future__ import annotations

import re

from clientorg.cli.exits import ExitCode, GitManagedError, NotReachedError
from clientorg.cli.fields import flag_of
from clientorg.cli.options import PROGRAM
from clientorg.cli.text import joined, plain
from clientorg.errors import (
    AlreadyExistsError,
    ApiError,
    ClientOrgError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InputError,
    InvalidError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)

_RBAC = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_POLICY = re.compile(
    r"ValidatingAdmissionPolicy '(?P<policy>[^']*)' with binding '[^']*' denied request: (?P<why>.*)", re.DOTALL
)
_EXISTS = re.compile(r'(?P<resource>[a-z.]+) "(?P<name>[^"]+)" already exists')
_MISSING = re.compile(r'(?P<resource>[a-z]+)(?:\.[a-z.]+)? "(?P<name>[^"]+)" not found')
_PATTERN = re.compile(r'^Invalid value: (?P<value>".*?"): \S+ in body should match \'.*\'$', re.DOTALL)
_SCHEMA = re.compile(r"^(?P<what>Invalid value: .+?): \S+ in body (?P<must>should .*)$", re.DOTALL)
_NO_CONTEXT = re.compile(r"Expected object with name (\S+) in (\S+)/contexts list")
_NO_SELECTION = re.compile(r"^field label not supported: (?P<field>.*)")
_OWN_FIELD = re.compile(r"^Invalid value: (?P<field>(?:spec|metadata)[\w.\[\]]*): (?P<what>.*)$", re.DOTALL)
_SKIPPED = "some validation rules were not checked because the object was invalid"
_NO_FIELD = ("", "<nil>")


def exit_code_of(error: ClientOrgError) -> ExitCode:
    """The exit code for an error."""
    if isinstance(error, NotReachedError):
        return ExitCode.NOT_REACHED
    if isinstance(error, GitManagedError):
        return ExitCode.GIT_MANAGED
    return ExitCode.USAGE if isinstance(error, InputError) else ExitCode.FAILED


def explain(error: ClientOrgError) -> list[str]:
    """The lines that tell a person about an error; the first is the error itself."""
    if isinstance(error, UnreachableError):
        return [plain(f"cannot reach the {error}; {_unreachable_remedy(error)}")]
    if isinstance(error, ApiError):
        return [plain(text) for text in _explain_answer(error)]
    if isinstance(error, ConfigurationError):
        context = _NO_CONTEXT.search(str(error))
        if context:
            return [plain(f"there is no context {context[1]!r} in {context[2]}; see: kubectl config get-contexts")]
    return [plain(part) for part in str(error).splitlines()]


def _unreachable_remedy(error: UnreachableError) -> str:
    import ssl

    import aiohttp

    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        return (
            "its certificate is not the one that the kubeconfig trusts: take the kubeconfig anew from whoever runs it"
        )
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved: check the network (VPN?) and the server in the kubeconfig"
    if isinstance(cause, TimeoutError):
        return "it did not answer in time: check the network (VPN?), then try again"
    return "check that it runs, the network, and --kubeconfig and --context"


def _explain_answer(error: ApiError) -> list[str]:
    if isinstance(error, UnauthorizedError):
        return [
            "the API server does not accept the credentials of the kubeconfig (expired?): log in again, "
            "or choose others with --context"
        ]
    if isinstance(error, ForbiddenError):
        return [_forbidden(error)]
    if isinstance(error, NotFoundError):
        return [_not_found(error)]
    if isinstance(error, InvalidError):
        return _invalid(error)
    if isinstance(error, AlreadyExistsError):
        match = _EXISTS.search(error.message)
        if match:
            kind = match["resource"].partition(".")[0]
            return [
                f"there is a {_SINGULAR.get(kind, kind)} {match['name']!r} already: choose another name, or change "
                f"that one ({PROGRAM} edit-contact, reallocate)"
            ]
    if isinstance(error, ConflictError):
        return [f"somebody else changed it at the same time: look again, then repeat the command ({error.message})"]
    if isinstance(error, GoneError):
        return ["the list changed faster than it could be read: try again"]
    if error.is_transient:
        wait = f" in {error.retry_after_seconds:.0f} s" if error.retry_after_seconds else ""
        return [f"the API server cannot do it now: {error.message} (HTTP {error.code}); try again{wait}"]
    return [f"the API server refused: {error.message} (HTTP {error.code})"]


def _forbidden(error: ForbiddenError) -> str:
    policy = _POLICY.search(error.message)
    if policy:
        return f"refused by the policy {policy['policy']}: {policy['why']}"
    match = _RBAC.search(error.message)
    if not match:
        return f"not allowed: {error.message}"
    resource = f"{match['resource']}.{match['group']}" if match["group"] else match["resource"]
    where = f" in namespace {match['namespace']}" if match["namespace"] else ""
    scope = f" -n {match['namespace']}" if match["namespace"] else " -A"
    return (
        f"user {match['user']!r} may not {match['verb']} {resource}{where}: ask the owner of the agency for the right "
        f"(to check: kubectl auth can-i {match['verb']} {resource}{scope}), or choose another --namespace or --context"
    )


def _not_found(error: NotFoundError) -> str:
    match = _MISSING.search(error.message)
    if not match:  # the server knows the path's group or kind not at all
        return (
            "the API server does not know clientorg.dev/v1alpha1: install the CRDs (kubectl apply -f crds/), or choose "
            "another cluster with --context"
        )
    kind, name = match["resource"], match["name"]
    if kind == "namespaces":
        return f"there is no namespace {name!r}: check --namespace, or create it first"
    hint = {
        "clientorgs": f"; {PROGRAM} list shows those there are",
        "quotapools": f"; {PROGRAM} pool shows those there are",
        "pointtransactions": f"; {PROGRAM} points history shows those of a client or pool",
    }.get(kind, "")
    return f"there is no {_SINGULAR.get(kind, kind)} {name!r} in this namespace{hint}"


_SINGULAR = {
    "clientorgs": "client",
    "quotapools": "pool",
    "orgplans": "plan",
    "orgapprovals": "approval",
    "pointtransactions": "transaction",
}


def _invalid(error: InvalidError) -> list[str]:
    policy = _POLICY.search(error.message)
    if policy:
        return [f"refused by the policy {policy['policy']}: {policy['why']}"]
    unselectable = _NO_SELECTION.match(error.message)
    if unselectable:
        return [f"--field-selector: the server cannot select by {unselectable['field']!r}; {_selectable()}"]
    causes = list(dict.fromkeys(error.causes))
    ruled = {field for field, message in causes if not _PATTERN.match(message)}
    faults = [
        _fault(field, message)
        for field, message in causes
        if not (len(causes) > 1 and _SKIPPED in message) and not (field in ruled and _PATTERN.match(message))
    ]
    if not faults:
        return [f"the server refused it: {error.message}"]
    if len(faults) == 1:
        return [f"the server refused it: {faults[0]}"]
    return [f"the server refused it, {len(faults)} faults:", *(f"  {fault}" for fault in faults)]


def _selectable() -> str:
    from clientorg.api.crd import KINDS

    paths = [path.removeprefix(".") for path in KINDS[0].selectable_fields]
    return f"it can by {joined(['metadata.name', *paths])}"


def _fault(field: str, message: str) -> str:
    """`field (flag): what is wrong`, from one cause of a Status."""
    pattern, schema = _PATTERN.match(message), _SCHEMA.match(message)
    wanted = _description(field) if pattern else None
    if pattern and wanted:
        message = f"Invalid value {pattern['value']}; wanted: {wanted}"
    elif schema:
        message = f"{schema['what']}: {schema['must']}"
    own = _OWN_FIELD.match(message)
    if own:  # a rule of ours (CEL) names its field itself, and more exactly
        field, message = own["field"], own["what"]
    elif field in _NO_FIELD:
        return message.removeprefix("Invalid value: ")
    flag = flag_of(field)
    return f"{field}{f' ({flag})' if flag else ''}: {message}"


def _description(field: str) -> str | None:
    """What the API says a field is, in place of a regular expression that nobody can read."""
    from clientorg.cli.checks import field_at

    _, *path = re.sub(r"\[\d+\]", "", field).split(".")
    info = field_at(tuple(path))
    return info.description if info else None
