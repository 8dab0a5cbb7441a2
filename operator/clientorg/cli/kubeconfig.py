"""Kubeconfig files: read merged as kubectl does, and changed without losing anything that is in them.

`kubectl config` drops comments; here a file keeps them, its order, its quotes, and what no version of us knows. It is
written beside and renamed, readable by its owner alone, under the lock file that kubectl itself takes.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from clientorg.cli.text import plain
from clientorg.errors import ConfigurationError, InputError

Json = dict[str, Any]

EXTENSION: Final = "clientorg.dev/access"
"""Name of the extension by which a context says that it is ours, and of which client."""
_DEFAULT: Final = "~/.kube/config"
_PATHS: Final = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
"""Fields that hold paths, relative to the file that they are in."""
_LISTS: Final = {"contexts": "context", "clusters": "cluster", "users": "user"}


def files(given: str | None) -> list[Path]:
    """The kubeconfigs that count, in order: those of --kubeconfig, else of $KUBECONFIG, else the user's own."""
    paths = given or os.environ.get("KUBECONFIG") or _DEFAULT
    return [Path(part).expanduser() for part in paths.split(os.pathsep) if part]


def written_file(given: str | None) -> Path:
    """Where changes go, by the rule of `kubectl config`: the first that is there, else the last."""
    paths = files(given)
    return next((path for path in paths if path.exists()), paths[-1])


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 20  # certificates are long, and folding them would change every line
    return yaml


def _load(path: Path) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        document = _yaml().load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigurationError(f"cannot read {plain(str(path))}: {error.strerror or error}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        # Not the parser's text: it quotes the line, which may hold a credential.
        raise ConfigurationError(f"{plain(str(path))} is no kubeconfig: it is not YAML; it is left as it is") from error
    lists = [document.get(name) for name in _LISTS] if isinstance(document, dict) else [0]
    if any(found is not None and not isinstance(found, list) for found in lists):
        raise ConfigurationError(f"{plain(str(path))} is no kubeconfig; it is left as it is")
    return document


def named(document: Any, kind: str, name: str) -> Any | None:
    """The entry of a list (contexts, clusters, users) with that name."""
    return next((item for item in document.get(kind) or () if item.get("name") == name), None)


class Merged:
    """What kubectl would see: of each name the first entry counts."""

    def __init__(self, given: str | None) -> None:
        self._files = [(path, _load(path)) for path in files(given) if path.exists()]

    def find(self, kind: str, name: str) -> Json | None:
        """The entry of that name, its paths absolute, without our file's own notation."""
        for path, document in self._files:
            entry = named(document, kind, name)
            if entry is not None:
                return _plain_entry(entry, _LISTS[kind], path.parent.absolute())
        return None

    def current(self, chosen: str | None) -> tuple[str, Json]:
        """Name and content of the context that is chosen, or else the current one.

        Raises:
            ConfigurationError: there is none.
        """
        name = chosen or next((str(d["current-context"]) for _, d in self._files if d.get("current-context")), "")
        entry = self.find("contexts", name) if name else None
        if entry is None:
            what = f"there is no context {plain(name)!r}" if name else "no context is chosen"
            raise ConfigurationError(f"{what} in the kubeconfig; see: kubectl config get-contexts")
        context: Json = entry.get("context") or {}
        return name, context


def _plain_entry(entry: Any, field: str, folder: Path) -> Json:
    content = _plain(entry.get(field) or {})
    for name in _PATHS.get(field, ()):
        if content.get(name):
            content[name] = str(folder / Path(content[name]).expanduser())
    return {"name": str(entry["name"]), field: content}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def put(document: Any, kind: str, entry: Json) -> None:
    """Add an entry, or replace the one of that name in its place."""
    entries = document.setdefault(kind, [])
    if entries is None:
        entries = document[kind] = []
    for index, item in enumerate(entries):
        if item.get("name") == entry["name"]:
            entries[index] = entry
            return
    entries.append(entry)


def remove(document: Any, kind: str, name: str) -> None:
    """Take an entry out, if it is there."""
    entries = document.get(kind) or []
    for index, item in reversed(list(enumerate(entries))):
        if item.get("name") == name:
            del entries[index]


def extension_of(context: Any) -> Json | None:
    """What a context of ours says of itself; None for any other."""
    for item in (context or {}).get("extensions") or ():
        if item.get("name") == EXTENSION and isinstance(item.get("extension"), dict):
            return dict(item["extension"])
    return None


@contextmanager
def changed(path: Path) -> Iterator[Any]:
    """The file's document, to be changed; written when this ends well, and only if it differs.

    Raises:
        ConfigurationError: what is there is no kubeconfig.
        InputError: it cannot be written, or somebody else is writing it.
    """
    target = Path(os.path.realpath(path))  # through a link to what it stands for
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target):
            document = _load(target) if target.exists() else {"apiVersion": "v1", "kind": "Config"}
            before = _text(document)
            yield document
            if not target.exists() or _text(document) != before:
                _write(target, _text(document))
    except OSError as error:
        raise InputError(f"cannot write {plain(str(path))}: {error.strerror or error}") from error


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """kubectl's own lock (client-go, tools/clientcmd): a file beside, which only one can create."""
    lock = target.with_name(target.name + ".lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise InputError(
            f"{plain(str(lock))} is there: another command is writing the kubeconfig. Try again; if none is, remove it"
        ) from None
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            lock.unlink()


def _text(document: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()


def _write(target: Path, text: str) -> None:
    beside = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def document_text(document: Json) -> str:
    """A kubeconfig of our own, for standard output."""
    return _text(document)
