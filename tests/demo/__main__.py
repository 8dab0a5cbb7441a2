"""`python -m tests.demo`: an early Ctrl-C, while this still imports, is to end it as quietly as a late one."""

import sys

from .signals import Interrupted, interruptible


def main() -> int:
    """Run the command; returns the exit code."""
    interruptible()
    try:
        from . import cli

        return cli.main()
    except Interrupted as stop:
        return stop.exit_code


if __name__ == "__main__":
    sys.exit(main())
