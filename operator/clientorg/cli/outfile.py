"""Where an export goes: standard output, or a file that is there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from clientorg.cli.terminal import forget_stdout
from clientorg.cli.text import plain
from clientorg.errors import InputError

STDOUT = "-"


class Destination:
    """A file, or standard output. Everything that can be wrong with it is found before anything is asked for.

    Args:
        file: what the flag says; None and `-` are standard output.
        force: a file that is there may be replaced.
        is_text: what is written can be looked at on a terminal.
        flag: by which the file is named, for messages.

    Raises:
        InputError: nothing can or may be written there.
    """

    def __init__(self, file: str | None, *, force: bool, is_text: bool, flag: str = "--output") -> None:
        self.path = None if file in (None, STDOUT) else Path(file or "").expanduser()
        self._force = force
        self._flag = flag
        if self.path is not None:
            _check(self.path, force=force, flag=flag)
        elif not is_text and sys.stdout.isatty():
            raise InputError(f"{flag}: a workbook is no text for a terminal; name a file: {flag} FILE.xlsx")

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A stream to write to. What was written is at its place when this ends, and only if it ends well.

        Raises:
            InputError: it cannot be written.
        """
        if self.path is None:
            try:
                with tempfile.SpooledTemporaryFile(max_size=1 << 20) as held:  # a workbook is not written front to back
                    yield held  # type: ignore[misc]
                    held.seek(0)
                    sys.stdout.flush()
                    shutil.copyfileobj(held, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            except BrokenPipeError:  # whoever reads has read enough
                raise
            except OSError as error:
                forget_stdout()
                raise InputError(f"{self._flag}: cannot write to standard output: {error.strerror or error}") from error
            return
        target = Path(os.path.realpath(self.path))  # through a link to what it stands for
        beside = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
        try:
            with open(beside, "xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            self._put(beside, target)
        except OSError as error:
            raise InputError(
                f"{self._flag}: cannot write {plain(str(self.path))}: {error.strerror or error}"
            ) from error
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()

    def _put(self, beside: Path, target: Path) -> None:
        if self._force:
            if target.exists():
                shutil.copymode(target, beside)
            beside.replace(target)
            return
        try:
            os.link(beside, target)  # unlike a rename, it never replaces what came there meanwhile
        except FileExistsError:
            raise _exists(self.path or target, self._flag) from None
        except OSError:  # a file system without hard links
            _check(target, force=False, flag=self._flag)
            beside.replace(target)


def _check(path: Path, *, force: bool, flag: str) -> None:
    shown = plain(str(path))
    if path.is_dir():
        raise InputError(f"{flag}: {shown} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"{flag}: there is no folder {plain(str(path.parent))}; make it, or choose another")
    if path.exists() and not path.is_file():
        raise InputError(f"{flag}: {shown} is no file; leave {flag} out to write to standard output")
    if path.exists() and not force:
        raise _exists(path, flag)
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{flag}: no right to write into {plain(str(path.parent))}; choose another folder")


def _exists(path: Path, flag: str) -> InputError:
    return InputError(f"{flag}: {plain(str(path))} is there already; choose another name, or replace it with --force")
