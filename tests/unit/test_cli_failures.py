"""Errors: one clear line with the field, the flag and what to do; and the exit code that scripts see."""

from __future__ import annotations

import orjson
import pytest

from clientorg.cli.exits import ExitCode, NotReachedError
from clientorg.cli.failures import exit_code_of, explain
from clientorg.cluster.rest import error_of, warnings_of
from clientorg.errors import ClientOrgError, ConfigurationError, InputError, UnreachableError


def answered(code: int, reason: str, message: str, *causes: tuple[str, str]) -> list[str]:
    """The lines for an answer of the server."""
    status = {
        "kind": "Status",
        "reason": reason,
        "message": message,
        "details": {"causes": [{"field": field, "message": text} for field, text in causes]},
    }
    return explain(error_of(code, orjson.dumps(status)))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), ExitCode.USAGE),
        (NotReachedError("x"), ExitCode.NOT_REACHED),
        (UnreachableError("x"), ExitCode.FAILED),
        (ConfigurationError("x"), ExitCode.FAILED),
        (error_of(403, b"{}"), ExitCode.FAILED),
    ],
)
def test_exit_codes(error: ClientOrgError, code: ExitCode) -> None:
    assert exit_code_of(error) == code


def test_a_missing_right_names_user_verb_and_place() -> None:
    message = (
        'clientorgs.clientorg.dev is forbidden: User "jane" cannot list resource "clientorgs" in API group '
        '"clientorg.dev" in the namespace "tokyo"'
    )
    (line,) = answered(403, "Forbidden", message)
    assert line.startswith("user 'jane' may not list clientorgs.clientorg.dev in namespace tokyo: ask the owner")
    assert "kubectl auth can-i list clientorgs.clientorg.dev -n tokyo" in line
    (line,) = answered(403, "Forbidden", message.removesuffix(' in the namespace "tokyo"') + " at the cluster scope")
    assert "kubectl auth can-i list clientorgs.clientorg.dev -A" in line


@pytest.mark.parametrize("code", [403, 422])
def test_a_policy_speaks_for_itself(code: int) -> None:
    message = (
        "clientorgs.clientorg.dev \"acme\" is forbidden: ValidatingAdmissionPolicy 'guard' with binding 'guard' denied "
        "request: confirm first"
    )
    assert answered(code, "Forbidden", message) == ["refused by the policy guard: confirm first"]


def test_a_pattern_nobody_can_read_becomes_what_is_wanted() -> None:
    cause = "Invalid value: \"nope\": spec.contact.email in body should match '^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@x$'"
    (line,) = answered(422, "Invalid", "…", ("spec.contact.email", cause))
    assert line == (
        'the server refused it: spec.contact.email (--email): Invalid value "nope"; wanted: Email address of the '
        "primary contact, for example yuki@acme.example."
    )


def test_several_faults_are_told_at_once_each_on_its_line() -> None:
    lines = answered(
        422,
        "Invalid",
        "…",
        ("spec.planRef", "Required value"),
        (
            "spec.licenses[0].quantity",
            "Invalid value: -1: spec.licenses[0].quantity in body should be greater than or equal to 0",
        ),
        (
            "<nil>",
            "Invalid value: null: some validation rules were not checked because the object was invalid; correct …",
        ),
    )
    assert lines == [
        "the server refused it, 2 faults:",
        "  spec.planRef (--plan): Required value",
        "  spec.licenses[0].quantity (--license): Invalid value: -1: should be greater than or equal to 0",
    ]


def test_our_own_rules_name_their_field_themselves() -> None:
    (line,) = answered(422, "Invalid", "…", ("metadata", "Invalid value: metadata.name: at most 52 characters"))
    assert line == "the server refused it: metadata.name (NAME): at most 52 characters"
    (line,) = answered(422, "Invalid", "…", ("spec.poolRef.name", "Invalid value: immutable, because …"))
    assert line == "the server refused it: spec.poolRef.name (--pool): Invalid value: immutable, because …"


def test_the_same_fault_in_two_words_is_told_once() -> None:
    pattern = "Invalid value: \"nope\": spec.contact.email in body should match '^x$'"
    rule = 'Invalid value: "nope": must be one email address'
    lines = answered(422, "Invalid", "…", ("spec.contact.email", pattern), ("spec.contact.email", rule))
    assert lines == [
        'the server refused it: spec.contact.email (--email): Invalid value: "nope": must be one email address'
    ]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            'clientorgs.clientorg.dev "acme" not found',
            "there is no client 'acme' in this namespace; kubectl clientorg list",
        ),
        ('quotapools.clientorg.dev "t" not found', "there is no pool 't' in this namespace; kubectl clientorg pool"),
        ('namespaces "x" not found', "there is no namespace 'x': check --namespace, or create it first"),
        ("404 page not found", "the API server does not know clientorg.dev/v1alpha1: install the CRDs"),
        ("the server could not find the requested resource", "the API server does not know clientorg.dev/v1alpha1"),
    ],
)
def test_what_is_not_there(message: str, line: str) -> None:
    assert answered(404, "NotFound", message)[0].startswith(line)
    assert explain(error_of(404, message.encode()))[0].startswith(line), "also when it is no Status"


@pytest.mark.parametrize(
    ("code", "reason", "message", "words"),
    [
        (401, "Unauthorized", "Unauthorized", "log in again"),
        (409, "AlreadyExists", 'clientorgs.clientorg.dev "acme" already exists', "there is a client 'acme' already"),
        (409, "Conflict", "the object has been modified", "somebody else changed it"),
        (410, "Expired", "too old", "try again"),
        (429, "TooManyRequests", "slow down", "slow down (HTTP 429); try again"),
        (500, "InternalError", "etcd", "etcd (HTTP 500); try again"),
        (405, "MethodNotAllowed", "no", "the API server refused: no (HTTP 405)"),
        (400, "BadRequest", "strict decoding error: unknown field", "the server refused it: strict decoding"),
        (400, "BadRequest", "field label not supported: a", "--field-selector: the server cannot select by 'a'"),
    ],
)
def test_each_failure_says_what_to_do(code: int, reason: str, message: str, words: str) -> None:
    (line,) = answered(code, reason, message)
    assert words in line


def test_an_answer_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in answered(500, "InternalError", "\x1b[2Jgone")[0]


def test_unreachable_servers() -> None:
    error = UnreachableError("API server https://x: timed out")
    error.__cause__ = TimeoutError()
    assert explain(error) == [
        "cannot reach the API server https://x: timed out; it did not answer in time: check the network (VPN?), "
        "then try again"
    ]


def test_an_unknown_context_says_where_to_look() -> None:
    message = (
        "cannot read …: Invalid kube-config file. Expected object with name tokyo in /home/a/config/contexts list; …"
    )
    (line,) = explain(ConfigurationError(message))
    assert line == "there is no context 'tokyo' in /home/a/config; see: kubectl config get-contexts"


def test_warnings_of_the_server_are_read_from_their_header() -> None:
    """RFC 7234 section 5.5; several in one header, quoted quotes, other codes left out."""
    headers = ['299 - "first, \\"quoted\\""', '299 kube "second", 299 - "third"', '199 - "not ours"', "broken"]
    assert warnings_of(headers) == ['first, "quoted"', "second", "third"]
    assert warnings_of([]) == []
