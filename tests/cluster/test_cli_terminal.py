"""`kubectl clientorg` on a terminal: questions, confirmations, colors, the live table."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from clientorg.cluster.resources import ORG_APPROVALS, ORG_PLANS
from tests.cluster._cli_support import DEADLINE_SECONDS, Agency, agency, expect_served, home, plane

__all__ = ["agency", "home", "plane"]  # fixtures

pytestmark = pytest.mark.cluster

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A process on a terminal of 24 by 160, as a person meets it."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self._process = process
        self.raw = ""
        self._told = 0

    @property
    def text(self) -> str:
        """All that was written, without colors and cursor movements."""
        return _CONTROL.sub("", self.raw)

    def expect(self, words: str) -> None:
        """Wait until these words are written, after those of the last call."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := self.text.find(words, self._told)) < 0:
            assert self._read(deadline), f"{words!r} never came: {self.text}"
        self._told = found + len(words)

    def answer(self, question: str, text: str) -> None:
        """Wait for the question, and type."""
        self.expect(question)
        os.write(self._master, f"{text}\n".encode())

    def press_ctrl_c(self) -> None:
        """Interrupt."""
        os.write(self._master, b"\x03")

    def interrupt(self) -> int:
        """Press Ctrl-C, and again where nothing follows for 5 s; the exit code.

        Python loses one that comes in the moment before it waits for a line; on a busy machine that is a long moment.
        """
        for _ in range(5):
            self.press_ctrl_c()
            while self._read(time.monotonic() + 5):
                pass
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(1)
        raise AssertionError(f"it does not end: {self.text}")

    def end(self) -> int:
        """Read all; the exit code."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self._read(deadline):
            pass
        return self._process.wait(DEADLINE_SECONDS)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # Linux reports the end of a terminal as EIO
            return False
        self.raw += chunk.decode(errors="replace")
        return bool(chunk)


@contextmanager
def on_terminal(agency: Agency, *arguments: str, **environment: str) -> Iterator[Terminal]:
    """Start the command on a terminal of its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 160, 0, 0))
    env = {**agency.cli.env(), "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        agency.cli.argv(*arguments),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=env,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches it
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait(DEADLINE_SECONDS)
        os.close(master)


def test_create_asks_for_what_is_missing(agency: Agency) -> None:
    """Z1, Z2: defaults from the cluster, bad answers asked again, what is available shown."""
    with on_terminal(agency, "create", "--last-name", "Nová") as terminal:
        terminal.answer("Display name:", "Česká pošta")
        terminal.answer("Name (of the object) [ceska-posta]:", "")
        terminal.answer("Contact's first name:", "Jana")
        terminal.answer("Contact's email:", "nope")
        terminal.answer("wanted: Email address", "jana@posta.example")
        terminal.answer("Pool [tokyo]:", "")
        terminal.answer("Plan [standard]:", "")
        terminal.answer("How many visitors (10,000 available) [0]:", "many")
        terminal.answer("not a whole number", "2k")
        assert terminal.end() == 0
    spec = agency.get("ceska-posta")["spec"]
    assert spec["displayName"] == "Česká pošta"
    assert spec["contact"]["email"] == "jana@posta.example"
    assert spec["licenses"] == [{"name": "visitors", "quantity": 2000}]


def test_ctrl_c_at_a_question_ends_with_130(agency: Agency) -> None:
    with on_terminal(agency, "create") as terminal:
        terminal.expect("Display name:")
        assert terminal.interrupt() == 130
        assert "Traceback" not in terminal.text


def test_reallocate_asks_before_it_writes(agency: Agency) -> None:
    """Z5: no is the default."""
    agency.client("acme", granted=500)
    with on_terminal(agency, "reallocate", "acme", "--license", "visitors", "--to", "700") as terminal:
        terminal.answer("Go on? [y/N]:", "")
        assert terminal.end() == 2
        assert "nothing was changed" in terminal.text
    assert agency.quantity("acme") == 500
    with on_terminal(agency, "reallocate", "acme", "--license", "visitors", "--to", "700") as terminal:
        terminal.answer("Go on? [y/N]:", "y")
        assert terminal.end() == 0
    assert agency.quantity("acme") == 700
    with on_terminal(agency, "reallocate", "acme", "--license", "visitors", "--to", "800", "--yes") as terminal:
        assert terminal.end() == 0
        assert "Go on?" not in terminal.text


def test_a_declined_move_writes_neither_half(agency: Agency) -> None:
    agency.client("acme", granted=500)
    agency.client("globex", granted=500)
    before = agency.version("acme"), agency.version("globex")
    arguments = ("reallocate", "acme", "--license", "visitors", "--from", "globex", "--by", "100")
    with on_terminal(agency, *arguments) as terminal:
        terminal.answer("Go on? [y/N]:", "n")
        assert terminal.end() == 2
    assert (agency.version("acme"), agency.version("globex")) == before


def test_a_deactivation_is_shown_and_asked_for(agency: Agency) -> None:
    """Z7: no is the default, and every date is on the screen before the question."""
    agency.client("acme", granted=500, used=120)
    with on_terminal(agency, "deactivate", "acme") as terminal:
        terminal.expect("everything is deleted, for ever")
        terminal.answer("Deactivate acme? [y/N]:", "")
        assert terminal.end() == 2
        assert "nothing was changed" in terminal.text
    assert "state" not in agency.get("acme")["spec"] or agency.get("acme")["spec"]["state"] == "Active"
    with on_terminal(agency, "deactivate", "acme") as terminal:
        terminal.answer("Deactivate acme? [y/N]:", "y")
        assert terminal.end() == 0
    assert agency.get("acme")["spec"]["state"] == "Deactivated"


def test_an_approval_is_shown_and_asked_for(agency: Agency) -> None:
    """S2: no is the default."""
    agency.plane.patch(ORG_PLANS, agency.namespace, "standard", {"spec": {"approval": "Manual"}})
    agency.client("acme", requestedBy="alice")
    expect_served(agency, ORG_APPROVALS)

    def decisions() -> list[str]:
        found = agency.plane.call(lambda api: api.list_all(ORG_APPROVALS, agency.namespace))
        return [item["spec"]["decision"] for item in found]

    with on_terminal(agency, "approve", "acme") as terminal:
        terminal.expect("Licenses that are drawn from pool tokyo")
        terminal.answer("Approve acme? [y/N]:", "")
        assert terminal.end() == 2
        assert "nothing was decided" in terminal.text
    assert decisions() == []
    with on_terminal(agency, "reject", "acme", "--reason", "in liquidation", "-o", "json") as terminal:
        terminal.answer("Reject acme? [y/N]:", "y")
        terminal.expect('"changed": true')
        assert terminal.end() == 0
    assert decisions() == ["Reject"]


def test_a_termination_is_shown_and_asked_for(agency: Agency) -> None:
    """S11: settlement and dates are on the screen before the question; who has ended is greyed in lists."""
    agency.client("acme", granted=500)
    order = ("terminate", "acme", "--now", "--accepted-by", "Yuki Sato", "--consent-text", "by telephone")
    with on_terminal(agency, *order) as terminal:
        terminal.expect("Settlement: nothing is left, and nothing is missing.")
        terminal.expect("everything is deleted, for ever")
        terminal.answer("Terminate the contract of acme now? [y/N]:", "")
        assert terminal.end() == 2
        assert "nothing was changed" in terminal.text
    assert "termination" not in agency.get("acme")["spec"]
    with on_terminal(agency, *order) as terminal:
        terminal.answer("Terminate the contract of acme now? [y/N]:", "y")
        assert terminal.end() == 0
    assert agency.get("acme")["spec"]["termination"]["immediate"] is True
    agency.status("acme", state="Terminated")
    with on_terminal(agency, "list") as terminal:
        assert terminal.end() == 0
        assert "\x1b[2macme\x1b[0m" in terminal.raw
        assert "\x1b[2mTerminated\x1b[0m" in terminal.raw


def test_data_goes_to_standard_output_and_the_question_elsewhere(agency: Agency) -> None:
    """With -o json what would happen is still shown before the question."""
    agency.client("acme", granted=500)
    with on_terminal(agency, "pause", "acme", "-o", "json") as terminal:
        terminal.expect("spec.state: Active → Paused")
        terminal.answer("Pause acme? [y/N]:", "y")
        terminal.expect('"changed": true')
        assert terminal.end() == 0


def test_states_are_colored_on_a_terminal_only_if_wanted(agency: Agency) -> None:
    agency.client("acme", granted=500)
    with on_terminal(agency, "list") as terminal:
        assert terminal.end() == 0
        assert "\x1b[32mActive\x1b[0m" in terminal.raw
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with on_terminal(agency, "list", **environment) as terminal:
            assert terminal.end() == 0
            assert "Active" in terminal.raw
            assert "\x1b" not in terminal.raw


def test_watch_keeps_a_live_table(agency: Agency) -> None:
    """Z12: and says how many did not fit on the screen."""
    agency.client("acme", granted=500)
    with on_terminal(agency, "list", "--watch") as terminal:
        terminal.expect("acme   Active")
        agency.client("globex")
        terminal.expect("globex")
        agency.status("acme", state="Provisioning")
        terminal.expect("acme     Provisioning")
        for index in range(25):
            agency.client(f"client-{index:02}")
        terminal.expect("… and 6 more (of 27)")
        terminal.press_ctrl_c()
        assert terminal.end() == 130


def test_a_name_cannot_steer_the_terminal(agency: Agency) -> None:
    """A client's text is a stranger's text: C1 control characters and direction overrides are not printed."""
    agency.client("acme", displayName="evil\u009b31m\u202eemca")
    with on_terminal(agency, "list", "-o", "wide") as terminal:
        assert terminal.end() == 0
        assert "evil" in terminal.raw
        assert "\u009b" not in terminal.raw
        assert "\u202e" not in terminal.raw


def test_waiting_shows_how_it_stands_on_one_line(agency: Agency) -> None:
    agency.client("acme", granted=500)
    with on_terminal(agency, "reconcile", "acme", "--wait=2s") as terminal:
        assert terminal.end() == 3
        assert "waiting for acme to be reconciled: the client can work (1s)" in terminal.text
