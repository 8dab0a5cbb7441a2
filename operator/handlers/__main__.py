"""`python -m handlers run`: the operator as a process. Flags and CLIENTORG_… variables are the same settings.

`kopf run handlers/lifecycle.py handlers/objects.py -A` does the same, with Kopf's own flags and the variables only.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable

import kopf
import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp, CliSubCommand, SettingsConfigDict

from clientorg import __version__
from clientorg.control import logs
from clientorg.control.runtime import Runtime
from clientorg.control.settings import Settings
from clientorg.errors import ConfigurationError
from handlers import lifecycle, objects  # noqa: F401 - for what they register

logger = logging.getLogger(__name__)


class SharedMemo(kopf.Memo):
    """Kopf copies its memo for each object; there is one runtime for all of them."""

    def __copy__(self) -> SharedMemo:
        return self


class Run(Settings):
    """Run the operator until SIGTERM. Every flag can be given as an environment variable CLIENTORG_<FLAG>."""

    model_config = SettingsConfigDict(env_prefix="CLIENTORG_", frozen=True, extra="ignore", cli_kebab_case=True)

    def cli_cmd(self) -> None:
        """Called by pydantic-settings."""
        sys.exit(run(self))


class Version(BaseSettings):
    """Print the version."""

    def cli_cmd(self) -> None:
        """Called by pydantic-settings."""
        print(__version__)


class Main(BaseSettings):
    """The operator of clientorg.dev.

    Examples: python -m handlers run --log-format=plain; CLIENTORG_LEADER_ELECTION=false python -m handlers run
    """

    model_config = SettingsConfigDict(cli_kebab_case=True, cli_hide_none_type=True, cli_avoid_json=True)

    run: CliSubCommand[Run]
    version: CliSubCommand[Version]

    def cli_cmd(self) -> None:
        """Called by pydantic-settings."""
        CliApp.run_subcommand(self)


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status: 0 after a clean end, 1 when a part of it failed, 2 when it
    cannot run as it was started."""
    logs.configure(settings.log_level, settings.log_format)
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        if len(failures) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    # Ten thousand clients are a large, long-lived heap: look through it seldom.
    gc.set_threshold(50_000, 20, 50)
    try:
        uvloop.run(_operate(settings, fail))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    except ConfigurationError as error:
        print(f"clientorg-operator: {error}", file=sys.stderr)
        return 2
    except Exception:
        logger.exception("ended")
        return 1
    return 1 if failures else 0


async def _operate(settings: Settings, fail: Callable[[BaseException], None]) -> None:
    runtime = await lifecycle.begin(settings)
    runtime.on_failure = fail
    await _wait_for_kinds(runtime)
    await kopf.operator(clusterwide=True, standalone=True, memo=SharedMemo(runtime=runtime))


async def _wait_for_kinds(runtime: Runtime) -> None:
    """SIGTERM and SIGINT end the wait as they end Kopf: by the way out that cleans up."""
    loop, waiting = asyncio.get_running_loop(), asyncio.ensure_future(runtime.wait_for_kinds())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, waiting.cancel)
    try:
        await waiting
    except asyncio.CancelledError:
        await runtime.stop()
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def main() -> None:
    """Entry point."""
    try:
        CliApp.run(Main, cli_args=sys.argv[1:] or ["--help"])
    except ValidationError as error:
        for problem in error.errors():
            flag = "-".join(str(part) for part in problem["loc"] if part != "run").replace("_", "-")
            text = problem["msg"].removeprefix("Value error, ")
            print(f"clientorg-operator: {f'--{flag}: ' if flag else ''}{text}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
