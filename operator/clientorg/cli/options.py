"""Flags that several commands share, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

PROGRAM = "kubectl clientorg"

Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Namespace of the agency. Default: the context's."),
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig. Default: the current one.")
]
Kubeconfig = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig. Default: $KUBECONFIG, then ~/.kube/config."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Version = Annotated[bool, typer.Option("--version", help="Show the version and exit.")]


@dataclass(frozen=True)
class Target:
    """Which cluster, as whom, in which namespace. None means what the kubeconfig says."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def over(self, other: Target) -> Target:
        """What is said here, and for the rest what the other says (flags after the command win)."""
        return Target(
            self.namespace or other.namespace, self.context or other.context, self.kubeconfig or other.kubeconfig
        )


class DryRun(StrEnum):
    """How far a command that changes something goes."""

    NONE = "none"
    SERVER = "server"
    CLIENT = "client"

    @property
    def suffix(self) -> str:
        """What follows a line that tells what was done."""
        return {"none": "", "server": " (server dry run)", "client": " (dry run)"}[self.value]


DryRunFlag = Annotated[
    DryRun,
    typer.Option(
        "--dry-run",
        metavar="[=server|client|none]",
        help="Change nothing: server (the default of the flag) has the API server check everything, client does not "
        "ask it.",
    ),
]


class DataOutput(StrEnum):
    """How data is printed where there is one table of it."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ReportOutput(StrEnum):
    """How a report is printed that may go into a spreadsheet too."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


OutputFlag = Annotated[DataOutput, typer.Option("--output", "-o", help="How to print.")]
CHANGE_CAUSE = "kubernetes.io/change-cause"
"""Kubernetes' own annotation for why an object was changed (`kubectl rollout history` shows it)."""
ReasonFlag = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="TEXT", help=f"Why, for those who look later; kept in the annotation {CHANGE_CAUSE}."
    ),
]
NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of the clients.")]
ForceFlag = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Change the cluster although Argo CD or Flux manages the object, and undoes it at its next sync.",
    ),
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
WaitFlag = Annotated[
    str,
    typer.Option("--wait", metavar="[=DURATION]", help="Wait until the operator has done it, at most so long."),
]

SelectorFlag = Annotated[
    str | None, typer.Option("--selector", "-l", metavar="QUERY", help="Label selector, for example tier=gold.")
]
StatesFlag = Annotated[
    list[str] | None, typer.Option("--state", metavar="STATE", help="Only in this state (repeatable).")
]
PlansFlag = Annotated[list[str] | None, typer.Option("--plan", metavar="NAME", help="Only on this plan (repeatable).")]
PoolsFlag = Annotated[
    list[str] | None, typer.Option("--pool", metavar="NAME", help="Only from this pool (repeatable).")
]
TagsFlag = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only with this tag (repeatable: with all).")
]
