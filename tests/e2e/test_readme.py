"""What README.md and `make help` promise, on a cluster of their own: nobody's `make up` is touched."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.controlplane.waiting import wait_until
from tests.demo.quickstart import AGENCY, TRY_NEXT
from tests.demo.telling import Try
from tests.support.install import ROOT

pytestmark = pytest.mark.cluster

SECONDS = 200.0
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
MAKES_OWN = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "KUBECONFIG", "CLIENTORG_CLUSTER")
CLIENTS = {"acme", "hoshi-travel", "sakura-clinic", "northwind", "globex"}


def environment(**more: str) -> dict[str, str]:
    """The environment of a person's shell: without what the make that runs these tests adds."""
    return {name: value for name, value in os.environ.items() if name not in MAKES_OWN} | more


def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout."""
    return subprocess.run(
        command, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def readme_commands() -> list[str]:
    """The lines of README.md's shell blocks, without comments."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = (line.partition("  #")[0].strip() for block in FENCE.findall(text) for line in block.splitlines())
    return [line for line in lines if line]


def processes_about(folder: str) -> list[psutil.Process]:
    """Processes with that folder on their command line."""
    processes = psutil.process_iter(["cmdline"])
    return [process for process in processes if any(folder in word for word in process.info["cmdline"] or ())]


# -- README.md ------------------------------------------------------------------------------------------------------


def test_readme_names_the_two_commands_of_a_fresh_machine() -> None:
    assert readme_commands()[:2] == ["make demo", "make test"]


def test_every_target_that_the_readme_names_exists() -> None:
    helped = run("make", "help")
    assert helped.returncode == 0
    targets = {line.split()[0] for line in helped.stdout.splitlines() if line.startswith("  ")}
    named = {command.split()[1] for command in readme_commands() if command.startswith("make ")}
    assert named <= targets


def test_make_alone_shows_the_help() -> None:
    assert run("make").stdout == run("make", "help").stdout


def test_demo_of_the_readme_ends_with_five_ready_clients() -> None:
    (command,) = (command for command in readme_commands() if command == "make demo")
    done = run(*command.split(), "ONCE=1")
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("All 5 clients are Ready")
    took = dict(re.findall(r"([\w-]+) (\d+\.\d\d) s", last))
    assert set(took) == CLIENTS
    assert re.search(r"^acme +Active +True +Ready ", done.stdout, re.MULTILINE)


# -- make demo ------------------------------------------------------------------------------------------------------


def test_unknown_story_is_refused_with_those_there_are() -> None:
    done = run("make", "demo", "STORY=once-upon-a-time")
    assert done.returncode != 0
    assert "no story is called 'once-upon-a-time'; there are: quickstart" in done.stderr


def test_ctrl_c_ends_the_demo_and_all_of_its_processes() -> None:
    command = [sys.executable, "-m", "tests.demo", "run"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        timer = threading.Timer(SECONDS, demo.kill)  # or a demo that never gets there would hang the test
        timer.start()
        said = ""
        for line in demo.stdout:
            said += line
            if line.startswith("Ctrl-C ends it all"):
                break
        kubeconfig = re.search(r"export KUBECONFIG=(.*)", said)
        assert kubeconfig, said
        cluster = str(Path(kubeconfig[1]).parents[1])
        assert len(processes_about(cluster)) >= 4
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(60) == 0, rest
        timer.cancel()
    assert "nothing is left running" in rest
    assert processes_about(cluster) == []
    assert not Path(cluster).exists()


def test_interrupted_start_leaves_nothing() -> None:
    command = [sys.executable, "-m", "tests.demo", "run"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        assert "Starting Kubernetes" in demo.stderr.readline()
        wait_until(lambda: psutil.Process(demo.pid).children(), 30, "the first component")
        children = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(60) == 128 + signal.SIGTERM
    assert not any(child.is_running() for child in children)


def test_failing_operator_is_shown_with_its_last_log_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.demo import cli, stage

    monkeypatch.setattr(stage, "write_operator_kubeconfig", lambda *_: tmp_path / "missing.yaml")
    said: list[str] = []
    monkeypatch.setattr(cli, "print", lambda text, **_: said.append(text), raising=False)
    assert cli.main(["run", "--cluster=local", "--once"]) == 1
    (message,) = said
    log = re.search(r"The operator ended\. The operator's last log lines \((.*)\):", message)
    assert log, message
    assert "  | " in message
    assert "no such kubeconfig" in Path(log[1]).read_text()
    Path(log[1]).unlink()
    Path(log[1]).parent.rmdir()


# -- make up, make down ---------------------------------------------------------------------------------------------


@dataclass
class Background:
    """A cluster of `make up` in a folder of its own."""

    folder: Path

    def up(self) -> list[str]:
        """`make -s up`; returns the lines on standard output."""
        done = run("make", "-s", "up", CLIENTORG_RUN_DIR=str(self.folder))
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def down(self) -> str:
        """`make down`; returns what it says."""
        done = run("make", "-s", "down", CLIENTORG_RUN_DIR=str(self.folder))
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        return done.stderr

    def state(self, what: str) -> dict[str, Any]:
        """The state file of the cluster's or the operator's supervisor."""
        state: dict[str, Any] = json.loads((self.folder / what / "state.json").read_text())
        return state

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command in a shell that evaluated what `make up` printed."""
        script = f'eval "$(make -s up 2>/dev/null)"; {command}'
        return run("sh", "-c", script, CLIENTORG_RUN_DIR=str(self.folder))


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """`make up`, ended after the tests whatever they did."""
    running = Background(tmp_path_factory.mktemp("up") / "run")
    try:
        running.up()
        yield running
    finally:
        running.down()
    assert processes_about(str(running.folder)) == []


def test_up_prints_exports_only_and_the_same_again(background: Background) -> None:
    before = background.state("operator")
    lines = background.up()
    assert all(line.startswith("export ") for line in lines)
    assert lines[-1] == f"export KUBECONFIG={background.folder}/cluster/cluster/kubeconfigs/admin.yaml"
    assert background.up() == lines
    assert background.state("operator") == before  # nothing was started anew


def test_clients_become_ready_on_the_cluster_in_the_background(background: Background) -> None:
    done = background.shell(
        "kubectl apply -f examples/quickstart &&"
        f" kubectl wait clientorgs --all -n {AGENCY} --for=condition=Ready --timeout=60s"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tried", TRY_NEXT, ids=lambda tried: tried.what)
def test_what_the_demo_says_to_try_next_works(background: Background, tried: Try) -> None:
    background.shell("kubectl apply -f examples/quickstart")
    done = background.shell(tried.command)
    if tried.refused:
        assert done.returncode != 0
        assert "To confirm: " in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_operator_that_crashed_is_started_again(background: Background) -> None:
    before = background.state("operator")
    (operator,) = psutil.Process(before["pid"]).children()
    operator.kill()
    wait_until(lambda: background.state("operator")["restarts"] > before["restarts"], 30, "a restart")
    background.up()  # waits until it is ready
    assert background.state("operator")["pid"] == before["pid"]


def test_up_recovers_when_both_supervisors_were_killed(background: Background) -> None:
    """As after a crash or a reboot: the state files are there, the processes are not."""
    lines = background.up()
    for what in ("operator", "cluster"):
        os.kill(background.state(what)["pid"], signal.SIGKILL)
    wait_until(lambda: not processes_about(f"{background.folder}/cluster"), 30, "the components to end with theirs")
    assert background.up() == lines
    assert background.shell("kubectl get --raw=/readyz").returncode == 0


def test_down_may_be_repeated_and_copes_with_stale_state(tmp_path: Path) -> None:
    here = Background(tmp_path / "run")
    assert "Nothing" in here.down()
    here.up()
    for what in ("operator", "cluster"):
        os.kill(here.state(what)["pid"], signal.SIGKILL)
    here.down()
    assert "Nothing" in here.down()
    assert processes_about(str(here.folder)) == []
    assert not here.folder.exists()
