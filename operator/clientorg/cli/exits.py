"""What the command tells the shell, and the errors that only a command line can have."""

from __future__ import annotations

from enum import IntEnum

from clientorg.errors import ClientOrgError


class ExitCode(IntEnum):
    """Exit codes; scripts depend on them, so they never change."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_REACHED = 3
    GIT_MANAGED = 4
    INTERRUPTED = 130


EXIT_CODES_HELP = (
    "Exit codes: 0 done; 1 the server refused or failed; 2 wrong usage, or refused by the command itself; "
    "3 waited, and what was waited for did not come; 4 Git manages the object: nothing was changed, the patch to "
    "commit was printed; 130 stopped by Ctrl-C."
)


class GitManagedError(ClientOrgError):
    """Argo CD or Flux manages the object, and would undo the change; nothing was written."""


class NotReachedError(ClientOrgError):
    """Time ran out while waiting; what was asked for was written and may still come true."""
