"""`kubectl clientorg` when others write at the same time, answers get lost, or on Ctrl-C (FEATURES X2)."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clientorg.cluster.resources import CLIENT_ORGS
from tests.cluster._cli_faults import FaultProxy, HangUp, Refusal, Request, before_first_write
from tests.cluster._cli_support import Agency, Cli, Lines, agency, home, plane

__all__ = ["agency", "home", "plane"]  # fixtures

pytestmark = pytest.mark.cluster

MOVE = ("reallocate", "acme", "--license", "visitors", "--from", "globex", "--by", "300")
TRANSFER = "clientorg.dev/transfer-from"


@pytest.fixture
def proxy(agency: Agency) -> Iterator[FaultProxy]:
    """Between the command and the server."""
    with FaultProxy(agency.plane.client()) as proxy:
        yield proxy


@pytest.fixture
def cli(agency: Agency, proxy: FaultProxy, tmp_path: Path) -> Cli:
    """The command, talking through the proxy; two clients with 500 visitors each are there."""
    agency.client("acme", granted=500)
    agency.client("globex", granted=500)
    return agency.cli.as_(proxy.kubeconfig(tmp_path))


def quantities(agency: Agency) -> tuple[int | None, int | None]:
    """What the two clients ask for."""
    return agency.quantity("acme"), agency.quantity("globex")


def transfer(agency: Agency) -> str | None:
    """The annotation of a move on the receiver."""
    found: str | None = (agency.get("acme")["metadata"].get("annotations") or {}).get(TRANSFER)
    return found


def make_anew(agency: Agency, name: str) -> None:
    """Delete a client, and create another one of its name."""
    confirm = {"metadata": {"annotations": {"clientorg.dev/confirm-deletion": name}}}
    agency.plane.patch(CLIENT_ORGS, agency.namespace, name, confirm)
    agency.plane.call(lambda api: api.delete(CLIENT_ORGS, agency.namespace, name))
    agency.client(name)


def test_a_conflict_is_read_computed_and_written_anew(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    """Somebody raises the client between our read and our write: their raise is not lost, ours is added."""
    raised = threading.Event()

    def step(request: Request) -> None:
        if request.writes("acme") and not raised.is_set():
            raised.set()
            patch = {"spec": {"licenses": [{"name": "visitors", "quantity": 900}]}}
            agency.plane.patch(CLIENT_ORGS, agency.namespace, "acme", patch)

    proxy.step = step
    answer = cli.do("reallocate", "acme", "--license", "visitors", "--by", "+100")
    assert agency.quantity("acme") == 1000
    assert "900 → 1,000" in answer.out


def test_somebody_who_never_stops_writing_ends_it_with_exit_code_1(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    def step(request: Request) -> None:
        if request.writes("acme"):
            stamp = str(len(proxy.seen))
            agency.plane.patch(CLIENT_ORGS, agency.namespace, "acme", {"metadata": {"labels": {"n": stamp}}})

    proxy.step = step
    answer = cli.run("reallocate", "acme", "--license", "visitors", "--by", "+100")
    assert answer.code == 1
    assert "somebody else changed it at the same time" in answer.err
    assert agency.quantity("acme") == 500


def test_edit_contact_survives_a_status_written_meanwhile(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    """The operator writes statuses all the time."""
    proxy.step = before_first_write("acme", lambda: agency.status("acme", state="Active", orgID="changed"))
    cli.do("edit-contact", "acme", "--email", "keiko@acme.example")
    assert agency.get("acme")["spec"]["contact"]["email"] == "keiko@acme.example"


def test_both_halves_of_a_move_are_rehearsed_before_the_first_write(
    agency: Agency, proxy: FaultProxy, cli: Cli
) -> None:
    """What the server refuses of the second half keeps the first from being written."""

    def step(request: Request) -> Refusal | None:
        if request.path.endswith("/globex") and request.dry_run:
            return Refusal(422, "Invalid", "globex is refused")
        return None

    proxy.step = step
    answer = cli.run(*MOVE)
    assert answer.code == 1
    assert "globex is refused" in answer.err
    assert not any(request.writes("acme") for request in proxy.seen)
    assert quantities(agency) == (500, 500)


def test_the_receiver_is_written_first(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    cli.do(*MOVE)
    written = [
        request.path.rpartition("/")[2] for request in proxy.seen if request.method == "PATCH" and not request.dry_run
    ]
    assert written == ["acme", "globex"]


def test_a_refused_second_half_takes_the_first_back(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    def step(request: Request) -> Refusal | None:
        return Refusal(403, "Forbidden", "not today") if request.writes("globex") else None

    proxy.step = step
    answer = cli.run(*MOVE)
    assert answer.code == 1
    assert "not today" in answer.err
    assert quantities(agency) == (500, 500)
    assert transfer(agency) is None


def test_taking_back_survives_the_operators_own_writes(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    """Between the halves the operator writes the receiver's status; that is no reason to leave half a move."""

    def step(request: Request) -> Refusal | None:
        if request.writes("globex"):
            agency.status("acme", state="Active", orgID="changed")
            return Refusal(403, "Forbidden", "not today")
        return None

    proxy.step = step
    assert cli.run(*MOVE).code == 1
    assert quantities(agency) == (500, 500)
    assert transfer(agency) is None


def test_a_source_that_changed_meanwhile_makes_the_move_start_over(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    patch = {"spec": {"licenses": [{"name": "visitors", "quantity": 700}]}}
    proxy.step = before_first_write(
        "globex", lambda: agency.plane.patch(CLIENT_ORGS, agency.namespace, "globex", patch)
    )
    cli.do(*MOVE)
    assert quantities(agency) == (800, 400)
    assert transfer(agency) == "globex/visitors/400/800"


@pytest.mark.parametrize("half", ["acme", "globex"])
def test_a_lost_answer_is_not_taken_for_a_failure(agency: Agency, proxy: FaultProxy, cli: Cli, half: str) -> None:
    """The server did it, the connection broke before the answer came: the object is read, and the move goes on."""

    def step(request: Request) -> HangUp | None:
        return HangUp(after_forwarding=True) if request.writes(half) else None

    proxy.step = step
    cli.do(*MOVE)
    assert quantities(agency) == (800, 200)
    assert transfer(agency) == "globex/visitors/200/800"


def test_a_write_that_never_arrived_leaves_nothing(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    def step(request: Request) -> HangUp | None:
        return HangUp(after_forwarding=False) if request.writes("globex") else None

    proxy.step = step
    answer = cli.run(*MOVE)
    assert answer.code == 1
    assert "cannot reach the API server" in answer.err
    assert quantities(agency) == (500, 500)
    assert transfer(agency) is None


def test_half_a_move_that_cannot_be_taken_back_says_how_to_put_it_right(
    agency: Agency, proxy: FaultProxy, cli: Cli
) -> None:
    """The server goes away for good between the halves."""
    gone = threading.Event()

    def step(request: Request) -> HangUp | None:
        if request.writes("globex"):
            gone.set()
        return HangUp(after_forwarding=False) if gone.is_set() else None

    proxy.step = step
    answer = cli.run(*MOVE)
    assert answer.code == 1
    assert "half a move" in answer.err
    where = f"-n {agency.namespace} --license visitors"
    assert f"kubectl clientorg reallocate globex {where} --to 200" in answer.err
    assert f"kubectl clientorg reallocate acme {where} --to 500" in answer.err
    assert quantities(agency) == (800, 500)


def test_ctrl_c_between_the_halves_is_obeyed_after_them(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def step(request: Request) -> None:
        if request.writes("globex"):
            reached.set()
            go_on.wait(30)

    proxy.step = step
    process = cli.start(*MOVE)
    assert reached.wait(30)
    process.send_signal(signal.SIGINT)
    err = Lines(process.stderr)
    while "finishing" not in err.next():
        pass
    go_on.set()
    assert process.wait(20) == 130
    assert quantities(agency) == (800, 200)


def test_a_delete_of_another_client_of_the_same_name_does_not_happen(
    agency: Agency, proxy: FaultProxy, cli: Cli
) -> None:
    """Deleted and created anew between our look and our write: that one was not confirmed."""
    proxy.step = before_first_write("acme", lambda: make_anew(agency, "acme"))
    answer = cli.run("delete", "acme", "--confirm", "acme")
    assert answer.code == 1
    assert "created anew" in answer.err
    assert agency.exists("acme")


def test_a_pause_survives_a_status_written_meanwhile(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    proxy.step = before_first_write("acme", lambda: agency.status("acme", orgID="id-acme-2"))
    cli.do("pause", "acme")
    assert agency.get("acme")["spec"]["state"] == "Paused"


def test_who_was_deactivated_meanwhile_is_not_paused(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    """To pause would bring it back: what is judged is what is written, or it is judged anew."""

    def step(request: Request) -> None:
        if request.writes("acme"):
            agency.plane.patch(CLIENT_ORGS, agency.namespace, "acme", {"spec": {"state": "Deactivated"}})

    proxy.step = step
    answer = cli.run("pause", "acme")
    assert answer.code == 2
    assert "reactivate acme" in answer.err
    assert agency.get("acme")["spec"]["state"] == "Deactivated"


def test_another_client_of_the_same_name_is_not_deactivated(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    proxy.step = before_first_write("acme", lambda: make_anew(agency, "acme"))
    answer = cli.run("deactivate", "acme")
    assert answer.code == 1
    assert "was deleted and created anew meanwhile" in answer.err
    assert agency.get("acme")["spec"].get("state", "Active") == "Active"


def test_a_failure_of_one_does_not_keep_the_others_from_it(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    """And what was done is reported as done."""
    proxy.step = lambda request: Refusal(403, "Forbidden", "not today") if request.writes("acme") else None
    answer = cli.run("pause", "acme", "globex", "-o", "json")
    assert answer.code == 1
    assert "not today" in answer.err
    assert [(one["name"], one["changed"]) for one in json.loads(answer.out)["clients"]] == [("globex", True)]
    assert agency.get("globex")["spec"]["state"] == "Paused"


def test_a_watch_goes_on_after_a_lost_connection(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    breaks = iter(range(2))  # aiohttp itself tries a GET once more without a word

    def step(request: Request) -> HangUp | None:
        watch = "watch=true" in request.query
        return HangUp(after_forwarding=False) if watch and next(breaks, None) is not None else None

    proxy.step = step
    process = cli.start("list", "--watch", "-o", "name")
    out, err = Lines(process.stdout), Lines(process.stderr)
    try:
        assert [out.next(), out.next()] == ["clientorg.clientorg.dev/acme", "clientorg.clientorg.dev/globex"]
        assert err.next() == "Connection lost; trying again …"
        agency.client("initech")
        assert out.next() == "clientorg.clientorg.dev/initech"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_a_watch_whose_version_expired_lists_again(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    expired = threading.Event()

    def step(request: Request) -> Refusal | None:
        if "watch=true" in request.query and not expired.is_set():
            expired.set()
            agency.client("initech")
            return Refusal(410, "Expired", "too old resource version")
        return None

    proxy.step = step
    process = cli.start("list", "--watch", "-o", "name")
    out = Lines(process.stdout)
    try:
        lines = [out.next() for _ in range(3)]
        assert lines[2] == "clientorg.clientorg.dev/initech", "told once, not all anew"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_a_watch_renews_expired_credentials(agency: Agency, proxy: FaultProxy, cli: Cli) -> None:
    """Tokens of credential plugins last an hour, a watch longer."""
    expired = threading.Event()

    def step(request: Request) -> Refusal | None:
        if "watch=true" in request.query and not expired.is_set():
            expired.set()
            return Refusal(401, "Unauthorized", "Unauthorized")
        return None

    proxy.step = step
    process = cli.start("list", "--watch", "-o", "name")
    out = Lines(process.stdout)
    try:
        assert [out.next(), out.next()] == ["clientorg.clientorg.dev/acme", "clientorg.clientorg.dev/globex"]
        assert expired.wait(20)
        agency.client("initech")
        assert out.next() == "clientorg.clientorg.dev/initech"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_a_server_that_is_too_busy_says_to_try_again(proxy: FaultProxy, cli: Cli) -> None:
    proxy.step = lambda request: Refusal(429, "TooManyRequests", "too many requests")
    answer = cli.run("list")
    assert answer.code == 1
    assert "too many requests (HTTP 429); try again" in answer.err


def test_a_server_without_our_kinds_says_to_install_them(proxy: FaultProxy, cli: Cli) -> None:
    proxy.step = lambda request: Refusal(404, "", "404 page not found")
    answer = cli.run("list")
    assert answer.code == 1
    assert "install the CRDs (kubectl apply -f crds/)" in answer.err
