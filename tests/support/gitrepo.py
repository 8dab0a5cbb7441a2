"""A Git repository on disk, as a GitOps tool reads it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class GitRepo:
    """A repository with a work tree; what is committed is what a tool sees at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = folder.as_uri()
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def write(self, path: str, text: str) -> None:
        """Write a file of the work tree."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        """A file of the work tree."""
        return (self.folder / path).read_text()

    def remove(self, path: str) -> None:
        """Delete a file of the work tree."""
        (self.folder / path).unlink()

    def commit(self, message: str) -> str:
        """Commit everything; returns the commit's hash."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        """Nothing of the user's own configuration, identity or hooks."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_NAME": "Aya Abe" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "aya@agency.example" for who in ("AUTHOR", "COMMITTER")},
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()
