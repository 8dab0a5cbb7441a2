"""The story of examples/quickstart: an agency, its pool and plan, and five clients in two languages become Ready."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import yaml
from rich.console import Console

from tests.support.install import ROOT

from .errors import DemoError, OperatorError, RefusedError
from .kubectl import Kubectl
from .stage import Stage
from .telling import Try, say
from .watching import ReadyWatch, Screen

EXAMPLE = ROOT / "examples" / "quickstart"
AGENCY = "agency-tokyo"
READY_SECONDS = 120.0
REFRESH_SECONDS = 0.25


TRY_NEXT = (
    Try(f"kubectl get clientorgs -n {AGENCY} -o wide", "the clients, with Org ID and message"),
    Try("kubectl explain clientorg.spec.licenses", "every field is explained"),
    Try(f"kubectl clientorg list -n {AGENCY}", "the plugin's list"),
    Try(f"kubectl clientorg describe acme -n {AGENCY}", "all about a client"),
    Try(f"kubectl clientorg pool -n {AGENCY}", "the agency's stock, and who waits"),
    Try(f"kubectl clientorg reallocate acme -n {AGENCY} --license visitors --by +5000", "more visitors for Acme"),
    Try("kubectl get resourcequotas,networkpolicies,rolebindings -A -l clientorg.dev/org-id", "what isolates them"),
    Try(f"kubectl delete clientorgs globex -n {AGENCY}", "refused, and says how to confirm", refused=True),
)


def settings(folder: Path) -> Mapping[str, object]:
    """The operator runs as it does everywhere."""
    return {}


def refuse(kubectl: Kubectl) -> None:
    """Raise RefusedError where the example's namespace belongs to somebody else."""
    if kubectl.exists("namespace", AGENCY):
        raise RefusedError(f"the cluster has a namespace {AGENCY} already; the demo leaves it alone and does not begin")


def play(stage: Stage, console: Console) -> None:
    """Play it; returns when all clients are Ready. Raises DemoError or OperatorError if they do not become so."""
    kubectl = stage.kubectl
    names = [doc["metadata"]["name"] for doc in yaml.safe_load_all((EXAMPLE / "clients.yaml").read_text())]
    folder = EXAMPLE.relative_to(ROOT)
    say(console, f"\n$ kubectl apply -f {folder}", style="bold")
    apply(kubectl, EXAMPLE / "agency.yaml", console)
    with ReadyWatch(kubectl, AGENCY) as watch:
        created_at = apply(kubectl, EXAMPLE / "clients.yaml", console)
        say(console, f"\n$ kubectl get clientorgs -n {AGENCY}", style="bold")
        seconds = _follow(stage, watch, names, created_at, console)
    times = ", ".join(f"{name} {seconds[name]:.2f} s" for name in names)
    say(console, f"\nAll {len(names)} clients are Ready. From created to Ready: {times}", style="green")


def _follow(
    stage: Stage, watch: ReadyWatch, names: list[str], created_at: dict[str, float], console: Console
) -> dict[str, float]:
    """Show the clients until all are Ready; returns the seconds that each took."""
    deadline = time.monotonic() + READY_SECONDS

    def taken() -> dict[str, float]:
        ready = dict(watch.ready_at)
        return {name: max(0.0, ready[name] - created_at[name]) for name in names if name in ready}

    with Screen(stage.kubectl, AGENCY, console) as screen:
        while True:
            seconds = taken()
            screen.show(seconds)
            if len(seconds) == len(names):
                return seconds
            stage.check()
            if not watch.is_running:
                raise DemoError("the watch of the clients ended")
            if time.monotonic() > deadline:
                break
            time.sleep(REFRESH_SECONDS)
            watch.take_change(5.0)
    missing = ", ".join(name for name in names if name not in seconds)
    what = f"Not Ready within {READY_SECONDS:.0f} s: {missing}"
    raise OperatorError(what, stage.operator.log, stage.operator.tail())


def apply(kubectl: Kubectl, file: Path, console: Console) -> dict[str, float]:
    """Apply a file and show what kubectl says; returns the names of the objects and when the server had each."""
    had: dict[str, float] = {}
    command = kubectl.command("apply", f"--filename={file}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            had[line.split()[0].rpartition("/")[2]] = time.monotonic()
            say(console, line.rstrip())
        said = process.stderr.read().strip()
    if process.returncode != 0:
        raise DemoError(f"kubectl apply -f {file.relative_to(ROOT)} failed: {said}")
    if said:
        say(console, said, style="yellow")  # the cluster's warnings
    return had
