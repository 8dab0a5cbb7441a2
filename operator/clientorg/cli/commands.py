"""Importing this module registers every command, in the order of the help."""

# isort: off
from clientorg.cli import listing
from clientorg.cli import describe
from clientorg.cli import usage
from clientorg.cli import timeline
from clientorg.cli import access
from clientorg.cli import accessopen
from clientorg.cli import create
from clientorg.cli import setup
from clientorg.cli import subscriptions
from clientorg.cli import approvals
from clientorg.cli import decide
from clientorg.cli import terminate
from clientorg.cli import contact
from clientorg.cli import reallocate
from clientorg.cli import life
from clientorg.cli import hold
from clientorg.cli import notify
from clientorg.cli import paymentlink
from clientorg.cli import pool
from clientorg.cli import points
from clientorg.cli import history
from clientorg.cli import estimate
from clientorg.cli import replenish
from clientorg.cli import ledger
from clientorg.cli import delete
from clientorg.cli import reconcile
from clientorg.cli import export
from clientorg.cli import exportstatement
from clientorg.cli import dashboard
from clientorg.cli import report
from clientorg.cli import backup
from clientorg.cli import shells

# isort: on
__all__ = [
    "access",
    "accessopen",
    "approvals",
    "backup",
    "contact",
    "create",
    "dashboard",
    "decide",
    "delete",
    "describe",
    "estimate",
    "export",
    "exportstatement",
    "history",
    "hold",
    "ledger",
    "life",
    "listing",
    "notify",
    "paymentlink",
    "points",
    "pool",
    "reallocate",
    "reconcile",
    "replenish",
    "report",
    "setup",
    "shells",
    "subscriptions",
    "terminate",
    "timeline",
    "usage",
]
