"""The program: `kubectl-clientorg`, found by kubectl as `kubectl clientorg`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from clientorg.cli.app import app
from clientorg.cli.exits import ExitCode
from clientorg.cli.options import PROGRAM
from clientorg.cli.terminal import complain, note
from clientorg.errors import ClientOrgError


def run() -> NoReturn:
    """The entry point of the executable."""
    if sys.argv[1:2] == ["__complete"]:
        from clientorg.cli.complete import complete

        sys.exit(complete(sys.argv[2:]))
    sys.exit(main(sys.argv[1:]))


def main(args: Sequence[str]) -> int:
    """Run one command line; returns its exit code and never shows a traceback, but with --debug."""
    import clientorg.cli.commands  # noqa: F401  (registers them)

    try:
        result = typer.main.get_command(app).main(list(args), prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:  # a wrong flag or argument
        complain(_usage(error))
        return ExitCode.USAGE
    except typer.Abort:
        note("")
        return ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        return _failed(error, debug="--debug" in args)
    return result if isinstance(result, int) else ExitCode.OK


def _failed(error: Exception, *, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    if not isinstance(error, ClientOrgError):
        hint = "" if debug else "; run it again with --debug and report what it shows"
        complain(f"this is a bug in the command: {type(error).__name__}: {error}{hint}")
        return ExitCode.FAILED
    from clientorg.cli.failures import exit_code_of, explain

    first, *rest = explain(error)
    complain("\n".join([first, *rest]))
    return exit_code_of(error)


def _usage(error: typer.TyperException) -> str:
    message = error.format_message().rstrip(".")
    ctx = getattr(error, "ctx", None)
    path = " ".join(word for word in (ctx.command_path if ctx else PROGRAM).split() if word[0] not in "[{<")
    return f"{message[:1].lower()}{message[1:]}; see {path} --help"
