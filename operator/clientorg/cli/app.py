"""What a command is: an async function whose flags are read as kubectl reads them."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from clientorg.cli.exits import EXIT_CODES_HELP, ExitCode
from clientorg.cli.options import PROGRAM, Context, Debug, Kubeconfig, Namespace, Target, Version
from clientorg.cli.terminal import forget_stdout
from clientorg.errors import InputError

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, None]])

BARE_VALUES = {"--dry-run": "server", "--wait": "true"}
"""What a flag with an optional value means without one. A value needs the `=`, as with kubectl."""
_NEGATIVE = re.compile(r"-\d[\d.,_]*")
_SHORT_WITH_EQUALS = re.compile(r"(-[A-Za-z])=(.+)", re.DOTALL)


def kubectl_style(args: Sequence[str], optional_values: Iterable[str]) -> list[str]:
    """The words of a command line as typer wants them: `--wait` becomes `--wait=true`, `-o=yaml` becomes `-oyaml`."""
    optional = set(optional_values)
    out: list[str] = []
    for index, word in enumerate(args):
        if word == "--":
            return [*out, *args[index:]]
        short = _SHORT_WITH_EQUALS.fullmatch(word)
        out.append(f"{word}={BARE_VALUES[word]}" if word in optional else short[1] + short[2] if short else word)
    return out


def _refuse_negative(args: Sequence[str]) -> None:
    """`-5` where an amount stands would be taken for a flag, and be answered as one that there is not."""
    found = next((word for word in args if _NEGATIVE.fullmatch(word)), None)
    if found is not None:
        raise InputError(
            f"AMOUNT: {found!r} is below zero; write how many points as a whole number of at least 1 (points remove "
            "takes them away)"
        )


class Command(TyperCommand):
    """A command that reads its flags as kubectl does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Normalize, then parse."""
        names = {name for param in self.params for name in param.opts}
        if any(param.name == "amount" for param in self.params):
            _refuse_negative(args)
        return super().parse_args(ctx, kubectl_style(args, names & BARE_VALUES.keys()))


class Group(TyperGroup):
    """The program itself; the same for the flags before the command's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Normalize, then parse."""
        return super().parse_args(ctx, kubectl_style(args, ()))


app = typer.Typer(
    cls=Group,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help, as kubectl's: it is piped, searched and copied
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback(invoke_without_command=True, epilog=EXIT_CODES_HELP)
def program(
    ctx: typer.Context,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    debug: Debug = False,
    version: Version = False,
) -> None:
    """Manage the client organizations of an agency.

    Uses your kubeconfig and your rights, and nothing else.
    """
    if version:
        _show_version()
    ctx.obj = Target(namespace, context, kubeconfig)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def _show_version() -> None:
    from clientorg import __version__

    typer.echo(f"kubectl-clientorg {__version__}")
    raise typer.Exit(ExitCode.OK)


_SHARED = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (
        ("namespace", None, Namespace),
        ("context", None, Context),
        ("kubeconfig", None, Kubeconfig),
        ("debug", False, Debug),
        ("version", False, Version),
    )
]


_GROUPS: dict[str, typer.Typer] = {}


def group(name: str, help_text: str, *, examples: str) -> None:
    """Make room for commands of two words, such as `export clients`; `command` then takes them by that name.

    Args:
        examples: as those of a command.
    """
    inner = typer.Typer(cls=Group, rich_markup_mode=None)

    def between(
        ctx: typer.Context,
        namespace: Namespace = None,
        context: Context = None,
        kubeconfig: Kubeconfig = None,
        debug: Debug = False,
        version: Version = False,
    ) -> None:
        if version:
            _show_version()
        before = ctx.obj if isinstance(ctx.obj, Target) else Target()
        ctx.obj = Target(namespace, context, kubeconfig).over(before)
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())

    inner.callback(invoke_without_command=True, help=help_text, epilog=_examples(name, examples))(between)
    app.add_typer(inner, name=name)
    _GROUPS[name] = inner


def command(name: str, *, examples: str) -> Callable[[F], F]:
    """Make an async function a command: its first parameter is the Target, the others are its own flags.

    Args:
        name: one word, or two where the first is that of a `group`.
        examples: lines for --help; `$` at the start of a line stands for the program and this command.
    """
    first, _, second = name.partition(" ")

    def register(function: F) -> F:
        def run(ctx: typer.Context, **values: Any) -> None:
            shared = {parameter.name: values.pop(parameter.name) for parameter in _SHARED}
            if shared["version"]:
                _show_version()
            target = Target(shared["namespace"], shared["context"], shared["kubeconfig"])
            before = ctx.obj if isinstance(ctx.obj, Target) else Target()
            try:
                asyncio.run(function(target.over(before), **values))
                sys.stdout.flush()
            except BrokenPipeError:  # `… | head` has read enough
                forget_stdout()

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        ctx = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = inspect.Signature([ctx, *keywords, *_SHARED])  # type: ignore[attr-defined]
        run.__name__, run.__doc__, run.__annotations__ = function.__name__, function.__doc__, {}
        parent = _GROUPS[first] if second else app
        parent.command(second or first, cls=Command, epilog=_examples(name, examples))(run)
        return function

    return register


def _examples(name: str, examples: str) -> str:
    lines = [line.replace("$", f"{PROGRAM} {name}", 1) for line in inspect.cleandoc(examples).splitlines()]
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines), "", EXIT_CODES_HELP])
