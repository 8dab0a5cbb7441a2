"""The Go modules that pin what is built: a folder is a version, and its go.mod is the only list of tools.

Adding a Kubernetes version means adding a folder below `gomod/kubernetes/`; no code changes (gomod/README.md).
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError

GOMOD_DIR = Path(__file__).parent / "gomod"

# Flags that make a binary independent of who builds it and where; they are part of the cache key.
BUILD_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")

# What of a module's own files belongs beside the binaries: folders and files of it, copied as they are.
ASSETS = {"github.com/argoproj/argo-cd/v3": ("manifests/crds", "hack/git-verify-wrapper.sh")}

# Packages whose last path element is not what people call the program.
BINARY_NAMES = {"go.etcd.io/etcd/server/v3": "etcd"}

_TOOL_BLOCK = re.compile(r"^tool\s*\(\n(?P<body>.*?)^\)", re.MULTILINE | re.DOTALL)
_TOOL_LINE = re.compile(r"^tool\s+(?P<package>[^\s(]+)", re.MULTILINE)
_GO_DIRECTIVE = re.compile(r"^go\s+(?P<version>\d+(?:\.\d+)*)", re.MULTILINE)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class GoModule:
    """One folder with a go.mod whose `tool` lines name the main packages to build."""

    name: str
    version: str
    folder: Path

    @property
    def title(self) -> str:
        """How the module is called on the terminal."""
        return f"{self.name} {self.version}"

    @property
    def gomod(self) -> str:
        """The text of go.mod; raises BuildError when the folder has none."""
        try:
            return (self.folder / "go.mod").read_text(encoding="utf-8")
        except OSError as error:
            raise BuildError(f"{self.title}: no go.mod to build from: {error}") from error

    @property
    def go_version(self) -> tuple[int, ...]:
        """The oldest Go that may build this, from the `go` directive."""
        match = _GO_DIRECTIVE.search(self.gomod)
        if match is None:
            raise BuildError(f"{self.folder / 'go.mod'} has no `go` directive")
        return tuple(int(part) for part in match["version"].split("."))

    @property
    def tools(self) -> dict[str, str]:
        """The binaries to build: name of the binary → main package."""
        text = self.gomod
        packages = [match["package"] for match in _TOOL_LINE.finditer(text)]
        for block in _TOOL_BLOCK.finditer(text):
            lines = (line.split("//")[0].strip() for line in block["body"].splitlines())
            packages += [line for line in lines if line]
        if not packages:
            raise BuildError(f"{self.folder / 'go.mod'} has no `tool` line, so there is nothing to build")
        return {BINARY_NAMES.get(package, default_binary_name(package)): package for package in packages}

    @property
    def assets(self) -> dict[str, tuple[str, ...]]:
        """Folders and files to copy beside the binaries: module → paths in it."""
        return {module: paths for module, paths in ASSETS.items() if f"\t{module} " in self.gomod}

    @property
    def linker_flags(self) -> str:
        """Stripped, and stamped with the version: `kubectl version` and feature gates go by that stamp."""
        flags = ["-s", "-w"]
        if self.name == "kubernetes":
            major, minor, _ = parse_version(self.version)
            values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
                flags += [f"-X={package}.{key}={value}" for key, value in values.items()]
        if self.name == "helm":
            flags += [f"-X=helm.sh/helm/v4/internal/version.version={self.version}"]
        if self.name == "argocd":
            flags.append(f"-X=github.com/argoproj/argo-cd/v3/common.version={self.version.removeprefix('v')}")
        return " ".join(flags)

    @property
    def digest(self) -> str:
        """Short digest of all that decides what the binaries are, used as the cache key.

        The Go release is left out on purpose: a newer compiler on PATH is no reason for a build of six minutes.
        """
        hasher = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            file = self.folder / name
            hasher.update(file.read_bytes() if file.exists() else b"")
            hasher.update(b"\0")
        sources = sorted(self.folder.glob("*.go"))  # none for Kubernetes; a stub module carries its own program
        for text in (
            *BUILD_FLAGS,
            self.linker_flags,
            *(str(item) for item in self.assets.items()),
            platform.system(),
            platform.machine(),
        ):
            hasher.update(text.encode() + b"\0")
        for source in sources:
            hasher.update(source.read_bytes() + b"\0")
        return hasher.hexdigest()[:12]


def default_binary_name(package: str) -> str:
    """The name `go build` gives to a main package: its last path element that is not a major version."""
    parts = package.split("/")
    if re.fullmatch(r"v[0-9]+", parts[-1]) and len(parts) > 1:
        parts.pop()
    return parts[-1]


def parse_version(version: str) -> tuple[int, int, int]:
    """`v1.37.2` → (1, 37, 2); raises ValueError for anything else."""
    match = _VERSION.match(version)
    if match is None:
        raise ValueError(f"not a version: {version!r}")
    return int(match[1]), int(match[2]), int(match[3])


def available(name: str) -> list[GoModule]:
    """The versions of `kubernetes`, `kwok`, `helm` or `argocd` that have a folder, newest last."""
    folders = [folder for folder in (GOMOD_DIR / name).glob("v*") if (folder / "go.mod").exists()]
    folders.sort(key=lambda folder: parse_version(folder.name))
    return [GoModule(name, folder.name, folder) for folder in folders]


def find(name: str, version: str | None = None) -> GoModule:
    """The module of the wanted version (`v1.37.2`, `1.37`), or the newest; raises BuildError if there is none.

    Of Kubernetes the newest is only the default: CLIENTORG_KUBERNETES names another.
    """
    modules = available(name)
    if version is None and name == "kubernetes":
        version = os.environ.get("CLIENTORG_KUBERNETES") or None
    if version is not None:
        wanted = "v" + version.removeprefix("v")
        modules = [m for m in modules if m.version == wanted or m.version.startswith(wanted + ".")]
    if not modules:
        have = ", ".join(m.version for m in available(name)) or "none"
        raise BuildError(f"no Go module for {name} {version or ''} below {GOMOD_DIR}; available: {have}")
    return modules[-1]
