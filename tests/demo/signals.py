"""Ctrl-C and its kin, as one exception. Standard library only: it is set up before anything slow is imported."""

from __future__ import annotations

import signal


class Interrupted(BaseException):
    """Ctrl-C, or another signal that asks to end; no Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.is_ctrl_c = number == signal.SIGINT
        self.exit_code = 128 + number


def interruptible() -> None:
    """From now on the first such signal raises Interrupted, and later ones are ignored: clean-up is under way then."""
    seen = False

    def on_signal(number: int, _frame: object) -> None:
        nonlocal seen
        if not seen:
            seen = True
            raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
