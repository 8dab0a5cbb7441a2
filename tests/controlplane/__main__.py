"""The command line: `python -m tests.controlplane`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from . import service
from .binaries import BinaryCache
from .errors import ControlPlaneError
from .modules import find
from .pki import Pki, file_name_for
from .toolchain import find_kubectl

NOT_RUNNING, UNHEALTHY, INTERRUPTED = 3, 1, 130
DEFAULT_DIR = Path(".run/cluster")

EXAMPLES = """examples:
  python -m tests.controlplane build                        build what is missing (6 minutes once, then nothing)
  python -m tests.controlplane start --nodes 3              run a cluster until Ctrl-C
  eval "$(python -m tests.controlplane start --detach)"     run one in the background, set KUBECONFIG
  python -m tests.controlplane kubeconfig --user alice --group devs
  python -m tests.controlplane status
  python -m tests.controlplane stop
"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m tests.controlplane",
        description="A real Kubernetes control plane on this machine, without containers.",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, *, directory: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        if directory:
            command.add_argument(
                "--dir", type=Path, default=DEFAULT_DIR, help=f"folder of the cluster (default: {DEFAULT_DIR})"
            )
        return command

    build = add("build", "Build the binaries into the cache folder, as far as they are missing.", directory=False)
    build.add_argument("--kubernetes", metavar="VERSION", help="a version below gomod/kubernetes (default: newest)")
    build.add_argument("--argocd", action="store_true", help="and Argo CD, which tests/e2e/gitops needs")
    build.add_argument("--verify", action="store_true", help="hash every binary, whatever its times say")
    for name, text in (
        ("start", "Start a cluster; does nothing when it already runs."),
        ("supervise", "What `start` runs: own a cluster until told to stop."),
    ):
        command = add(name, text)
        command.add_argument("--nodes", type=int, default=0, help="simulated nodes (default: none)")
        command.add_argument("--audit", action="store_true", help="write an audit log")
        command.add_argument("--keep", action="store_true", help="leave data and logs when it stops")
        command.add_argument("--kubernetes", metavar="VERSION", help="a version below gomod/kubernetes")
        if name == "start":
            command.add_argument(
                "--detach", action="store_true", help="in the background; prints `export KUBECONFIG=…`"
            )
    add("stop", "Stop a cluster and remove its data.")
    status = add("status", "Tell whether a cluster runs: exit code 0 if healthy, 1 if not, 3 if none runs.")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    kubeconfig = add("kubeconfig", "Print the path of a kubeconfig: the administrator's, or a new user's.")
    kubeconfig.add_argument("--user", help="issue a client certificate for this user")
    kubeconfig.add_argument("--group", action="append", default=[], help="and this group (may be repeated)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = parse(arguments)
    if "dir" in options:
        options.dir = options.dir.resolve()
    try:
        return int(COMMANDS[options.command](options) or 0)
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _build(options: argparse.Namespace) -> None:
    cache = BinaryCache()
    module = find("kubernetes", options.kubernetes)
    for each in (module, find("kwok"), find("helm"), *([find("argocd")] if options.argocd else [])):
        cache.ensure(each, verify=options.verify)
    print(f"Binaries: {cache.folder(module)}; kubectl: {find_kubectl(module.version)}", file=sys.stderr)


def _start(options: argparse.Namespace) -> int:
    wanted = service.Options(options.nodes, options.audit, options.kubernetes, options.keep)
    cache = BinaryCache()  # here, where a person sees the progress, not in the background
    cache.ensure(find("kubernetes", wanted.version))
    if wanted.nodes:
        cache.ensure(find("kwok"))
    find_kubectl(find("kubernetes", wanted.version).version)
    if not options.detach:
        return 0 if service.supervise(options.dir, wanted) else INTERRUPTED
    state, new = service.start(options.dir, wanted)
    if not new:
        has = ", ".join(f"{name}={value}" for name, value in asdict(state.options).items())
        note = "" if state.options == wanted else f" with other options ({has}); stop it first to change them"
        print(f"The cluster in {options.dir} already runs{note}", file=sys.stderr)
    print(f"export KUBECONFIG={state.kubeconfig}")
    return 0


def _supervise(options: argparse.Namespace) -> None:
    service.supervise(options.dir, service.Options(options.nodes, options.audit, options.kubernetes, options.keep))


def _stop(options: argparse.Namespace) -> None:
    stopped = service.stop(options.dir)
    print(f"{'Stopped' if stopped else 'There was no'} cluster in {options.dir}", file=sys.stderr)


def _status(options: argparse.Namespace) -> int:
    state = service.read_state(options.dir)
    running = state is not None and state.is_alive
    problem = service.problem_of(options.dir, state) if state is not None and running else None
    if options.output == "json":
        print(json.dumps({"running": running, "problem": problem, **(asdict(state) if state and running else {})}))
    elif state is None or not running:
        stale = " (it ended without cleaning up; `start` or `stop` will)" if state is not None else ""
        print(f"No cluster runs in {options.dir}{stale}")
    else:
        print(f"Kubernetes {state.version} at {state.url}: {'not healthy: ' + problem if problem else 'healthy'}")
        print(f"export KUBECONFIG={state.kubeconfig}")
    return NOT_RUNNING if not running else UNHEALTHY if problem else 0


def _kubeconfig(options: argparse.Namespace) -> None:
    state = service.read_state(options.dir)
    if state is None or not state.is_alive:
        raise ControlPlaneError(f"no cluster runs in {options.dir}; start one with `start --detach`")
    path = Path(state.kubeconfig)
    if options.user:
        path = path.parent / f"{file_name_for(options.user, options.group)}.yaml"
        pki = Pki(service.data_dir(options.dir) / "pki")
        pki.write_client_kubeconfig(path, state.url, options.user, options.group)
    print(path)


COMMANDS = {
    "build": _build,
    "start": _start,
    "supervise": _supervise,
    "stop": _stop,
    "status": _status,
    "kubeconfig": _kubeconfig,
}

if __name__ == "__main__":
    sys.exit(main())
