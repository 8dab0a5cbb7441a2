"""Importing this module registers every command, in the order of the help."""

# isort: off
from clientorg.cli import listing
from clientorg.cli import describe
from clientorg.cli import usage
from clientorg.cli import timeline
from clientorg.cli import create
from clientorg.cli import contact
from clientorg.cli import reallocate
from clientorg.cli import life
from clientorg.cli import notify
from clientorg.cli import pool
from clientorg.cli import delete
from clientorg.cli import reconcile
from clientorg.cli import shells

# isort: on
__all__ = [
    "contact",
    "create",
    "delete",
    "describe",
    "life",
    "listing",
    "notify",
    "pool",
    "reallocate",
    "reconcile",
    "shells",
    "timeline",
    "usage",
]
