"""The control plane's binaries: built from their Go modules once per version, checked at every use, shared by all.

A binary is in the cache folder beside a small record of its size, times and SHA-256. Checking is a `stat` while the
times are the recorded ones; when they differ the file is hashed. So a truncated, overwritten or half-copied binary is
found and built again, and 300 MB are not read at every start.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import BuildError
from .modules import BUILD_FLAGS, GoModule, default_binary_name, find
from .process import spawn
from .progress import Reporter, Step
from .toolchain import cache_dir, find_go, go_environment

_PACKAGE_LINE = re.compile(r"^[\w.~/+-]+$")  # `go build -v` prints one import path a line; anything else is a message


@dataclass(frozen=True)
class _Record:
    """What a binary looked like when it was last known to be good."""

    sha256: str
    size: int
    mtime_ns: int
    ctime_ns: int  # cannot be set back by a program that keeps mtime, such as cp -p

    @staticmethod
    def of(binary: Path, sha256: str) -> _Record:
        status = binary.stat()
        return _Record(sha256, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @staticmethod
    def load(binary: Path) -> _Record | None:
        try:
            return _Record(**json.loads(_record_file(binary).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, binary: Path) -> None:
        file = _record_file(binary)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
        temporary.replace(file)


class BinaryCache:
    """The cache folder; safe to use from several processes at once."""

    def __init__(self, directory: Path | None = None, reporter: Reporter | None = None) -> None:
        self.directory = directory if directory is not None else cache_dir()
        self._reporter = reporter if reporter is not None else Reporter()

    def folder(self, module: GoModule) -> Path:
        """Where the module's binaries are kept: one folder a version and recipe."""
        return self.directory / "bin" / f"{module.name}-{module.version}-{module.digest}"

    def ensure(self, module: GoModule, *, verify: bool = False) -> dict[str, Path]:
        """The module's binaries by name, built now if they are missing or broken.

        With `verify` every binary is hashed, whatever its times say. Raises BuildError.
        """
        binaries = {name: self.folder(module) / name for name in module.tools}
        if not self._broken(binaries, verify=verify):
            return binaries
        with self._locked(module):
            broken = self._broken(binaries, verify=verify)  # another process may have built them meanwhile
            if broken:
                for name in broken:
                    if binaries[name].exists():
                        self._reporter.say(f"{binaries[name]} is damaged, building it again")
                self._build(module, broken)
        return binaries

    def _broken(self, binaries: dict[str, Path], *, verify: bool) -> list[str]:
        return [name for name, binary in binaries.items() if not _intact(binary, verify=verify)]

    @contextmanager
    def _locked(self, module: GoModule) -> Iterator[None]:
        """Hold the module's build lock; when another process has it, say so and wait for as long as it builds."""
        folder = self.folder(module)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            with self._reporter.step(f"Waiting for another process that builds {module.title}") as step:
                while not lock.is_locked:
                    step.update("still building")
                    with suppress(Timeout):
                        lock.acquire(timeout=1)
        try:
            yield
        finally:
            lock.release()

    def _build(self, module: GoModule, names: list[str]) -> None:
        folder = self.folder(module)
        for leftover in folder.glob(".build-*"):  # of a build that was killed: we hold the lock, so nobody uses it
            shutil.rmtree(leftover, ignore_errors=True)
        go = find_go(module, self.directory, self._reporter)
        private = folder / ".go"  # one for each module: two modules may be built at the same time
        environment = go_environment(go, private)
        packages = [module.tools[name] for name in names]
        flags = [*BUILD_FLAGS, f"-ldflags={module.linker_flags}"]
        output = Path(tempfile.mkdtemp(prefix=".build-", dir=folder))
        try:
            part = f" ({', '.join(names)})" if len(names) < len(module.tools) else ""
            with self._reporter.step(f"Building {module.title}{part}") as step:
                total = self._count_stale(go, environment, module, flags, packages, step)
                done = 0
                command: list[str | Path] = [go, "build", "-v", *flags, "-o", f"{output}/", *packages]
                for line in _run_go(command, environment, module):
                    if _PACKAGE_LINE.match(line):
                        done = min(done + 1, total)
                        step.update("packages" if done < total else "linking, packages", done, total)
                for copied, paths in module.assets.items():
                    self._copy(copied, paths, go, environment, module)
                for name in names:  # last: they are what says that all is there
                    self._install(output / default_binary_name(module.tools[name]), folder / name)
        finally:
            shutil.rmtree(output, ignore_errors=True)
        _drop_go_caches(private)

    def _count_stale(
        self, go: Path, environment: dict[str, str], module: GoModule, flags: list[str], packages: list[str], step: Step
    ) -> int:
        """How many packages will be compiled; downloads the modules on the way."""
        command: list[str | Path] = [
            go,
            "list",
            "-deps",
            "-f",
            "{{if .Stale}}stale {{.ImportPath}}{{end}}",
            *flags,
            *packages,
        ]
        stale = downloads = 0
        for line in _run_go(command, environment, module):
            if line.startswith("stale "):
                stale += 1
            elif line.startswith("go: downloading "):
                downloads += 1
                step.update("modules downloaded", downloads)
        return stale

    def _copy(self, copied: str, paths: Sequence[str], go: Path, environment: dict[str, str], module: GoModule) -> None:
        """Put folders and files of a Go module beside the binaries, under the same path."""
        *_, source = _run_go([go, "list", "-m", "-f", "{{.Dir}}", copied], environment, module)
        for path in paths:
            target = self.folder(module) / path
            if (Path(source) / path).is_dir():
                shutil.copytree(Path(source) / path, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(source) / path, target)

    def _install(self, built: Path, binary: Path) -> None:
        """Put a new binary in place: whoever looks sees the old one or the new one, never a part."""
        built.chmod(0o755)
        digest = _sha256(built)
        built.replace(binary)
        _Record.of(binary, digest).save(binary)


def _drop_go_caches(private: Path) -> None:
    """Without HOME Go's caches are below ours and of no further use: up to 5 GB to give back."""
    for path in private.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)  # the module cache is read-only
    shutil.rmtree(private, ignore_errors=True)


def _record_file(binary: Path) -> Path:
    return binary.with_name(f"{binary.name}.json")


def _intact(binary: Path, *, verify: bool) -> bool:
    record = _Record.load(binary)
    if record is None or not os.access(binary, os.X_OK):
        return False
    now = _Record.of(binary, record.sha256)
    if now == record and not verify:
        return True
    if now.size != record.size or _sha256(binary) != record.sha256:
        return False
    now.save(binary)
    return True


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _run_go(command: Sequence[str | Path], environment: dict[str, str], module: GoModule) -> Iterator[str]:
    """Yield what go prints, line by line; raises BuildError with the end of it when go fails."""
    last: deque[str] = deque(maxlen=25)
    process = spawn(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, environment=environment, directory=module.folder
    )
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            last.append(line)
            yield line
        process.wait()
    finally:
        if process.poll() is None:  # we were interrupted: do not leave a compiler running
            process.send_signal(signal.SIGINT)  # on which it removes its work folder
            process.wait()
        process.stdout.close()
    if process.returncode != 0:
        messages = [line for line in last if not _PACKAGE_LINE.match(line)] or list(last)
        said = "\n".join(f"  | {line}" for line in messages)
        raise BuildError(
            f"building {module.title} failed: `{' '.join(map(str, command[:2]))}` exited with {process.returncode}"
            f" in {module.folder}. It said:\n{said}\n"
            "If modules could not be downloaded, set GOPROXY to a Go module proxy that this machine reaches."
        )


def find_helm(cache: BinaryCache | None = None) -> Path:
    """Helm, as pinned below gomod/helm, built now if it is missing. Raises BuildError."""
    return (cache if cache is not None else BinaryCache()).ensure(find("helm"))["helm"]
