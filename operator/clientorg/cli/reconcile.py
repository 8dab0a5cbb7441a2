"""`reconcile`: ask the operator for a full pass, also of what seems unchanged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clientorg.api.meta import ANNOTATION_RECONCILE
from clientorg.cli.app import command
from clientorg.cli.options import DryRun, DryRunFlag, NamesArgument, Target, WaitFlag
from clientorg.cli.rows import condition
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.terminal import say
from clientorg.cli.waiting import parse_wait, wait_until

Json = dict[str, Any]


@command(
    "reconcile",
    examples="""
    # Do not wait for the next try
    $ acme
    # Several, and wait until each was answered
    $ acme globex --wait
    """,
)
async def reconcile_clients(
    target: Target,
    names: NamesArgument,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Ask the operator to look at clients again, now."""
    from clientorg.cluster.resources import CLIENT_ORGS

    seconds = parse_wait(wait)
    stamp = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    patch = {"metadata": {"annotations": {ANNOTATION_RECONCILE: stamp}}}
    async with connect(target) as session:
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        for name in dict.fromkeys(names):
            if dry_run is not DryRun.CLIENT:
                only_try = dry_run is DryRun.SERVER
                await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
            say(f"clientorg.clientorg.dev/{name} annotated: reconcile requested{dry_run.suffix}")
        if seconds is None or dry_run is not DryRun.NONE:
            return
        for name in dict.fromkeys(names):
            await wait_until(
                session.api,
                CLIENT_ORGS,
                session.namespace,
                name,
                lambda item: ((item or {}).get("status") or {}).get("lastHandledReconcileAt") == stamp,
                timeout_seconds=seconds,
                what=f"{name} to be reconciled",
                tell=lambda item: condition(item or {}, "Ready").get("message") or "the operator has not answered yet",
            )
