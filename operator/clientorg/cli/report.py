"""`report`: the portfolio's KPIs and tables (FEATURES W8-W11, A6)."""

from __future__ import annotations

from typing import Annotated

import typer

from clientorg.cli import reportflags as f
from clientorg.cli.app import command, group
from clientorg.cli.exportflags import LanguageFlag, ZoneFlag, local_zone, zone_of
from clientorg.cli.options import Target
from clientorg.cli.reportshow import Request, show

group(
    "report",
    """Show the portfolio: KPIs, what expires and renews, allocation, usage, performance.

    Every report can be filtered, sorted, shown as of another moment, and written as table, json, yaml, csv, xlsx or
    html. See docs/reports.md.""",
    examples="""
    $ summary
    $ expiring --within 30d --managed-by own -o xlsx --file expiring.xlsx
    $ metric abandon-rate --tag vip
    """,
)

_REPORTS = {
    "summary": (
        "Show the KPIs: clients, statuses, expiring, renewing, low allocation, over limit.",
        """
        # Now; as it will be at the end of the year; of trials only
        $
        $ --as-of 2026-12-31
        $ --subscription-type trial -o json
        """,
    ),
    "recent": (
        "Show what was added lately, the newest first.",
        """
        # Within 90 days; within two weeks
        $
        $ --within 2w
        """,
    ),
    "expiring": (
        "Show what ends soon and does not renew, the nearest first.",
        """
        # Within 90 days; those of one product within 30, for a spreadsheet
        $
        $ --within 30d --product visitors -o xlsx --file expiring.xlsx
        """,
    ),
    "renewing": (
        "Show what renews by itself soon, the nearest first.",
        """
        # Within 90 days; the largest first
        $
        $ --sort-by=-total
        """,
    ),
    "low-allocation": (
        "Show of which licenses few are assigned (or used), the lowest first.\n\n"
        "The plan says below how many percent (subscriptions.lowAllocationPercent).",
        """
        # All; those that an external admin manages
        $
        $ --managed-by external
        """,
    ),
    "over-limit": (
        "Show of which licenses more is used than granted, the farthest over first.",
        """
        # All; those of VIPs
        $
        $ --tag vip
        """,
    ),
    "usage": (
        "Show what was allocated, assigned and used, week by week.\n\n"
        "From the weekly snapshots (Sunday 00:00 UTC). A week that was missed is a gap; nothing is made up for it.",
        """
        # The whole agency; one client
        $
        $ --search acme
        """,
    ),
    "performance": (
        "Compare clients: the use of licenses and each product metric, ranked.\n\n"
        "The plan's metrics say which way is better.",
        """
        # Everything; the best first
        $
        $ --sort-by rank
        """,
    ),
}


def _make(name: str, text: str, examples: str) -> None:
    async def run(
        target: Target,
        within: f.WithinFlag = "90d",
        as_of: f.AsOfFlag = None,
        managed_by: f.ManagedFlag = None,
        product: f.ProductFlag = None,
        status: f.StatusFlag = None,
        subscription_type: f.TypeFlag = None,
        tag: f.TagFlag = None,
        search: f.SearchFlag = "",
        sort_by: f.SortFlag = None,
        output: f.OutputFlag = f.Output.TABLE,
        file: f.FileFlag = None,
        force: f.ForceFlag = False,
        all_namespaces: f.AllFlag = False,
        language: LanguageFlag = None,
        time_zone: ZoneFlag = None,
    ) -> None:
        zone = zone_of(time_zone) if time_zone else local_zone()
        filters = f.filters_of(managed_by, product, status, subscription_type, tag, search)
        request = Request(name, f.within_days(within), f.moment(as_of, zone), filters, sort_by, output, file, force)
        await show(target, request, language, zone, all_namespaces=all_namespaces)

    run.__doc__ = text
    command(f"report {name}", examples=examples)(run)


for _name, (_text, _examples) in _REPORTS.items():
    _make(_name, _text, _examples)


@command(
    "report metric",
    examples="""
    # A metric that the plans declare (spec.metrics), over 8 weeks; the worst first
    $ abandon-rate --sort-by=-latest
    """,
)
async def report_metric(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="METRIC", help="Name of the metric, as plans declare it.")],
    as_of: f.AsOfFlag = None,
    managed_by: f.ManagedFlag = None,
    product: f.ProductFlag = None,
    status: f.StatusFlag = None,
    subscription_type: f.TypeFlag = None,
    tag: f.TagFlag = None,
    search: f.SearchFlag = "",
    sort_by: f.SortFlag = None,
    output: f.OutputFlag = f.Output.TABLE,
    file: f.FileFlag = None,
    force: f.ForceFlag = False,
    all_namespaces: f.AllFlag = False,
    language: LanguageFlag = None,
    time_zone: ZoneFlag = None,
) -> None:
    """Show one product metric of each client over 8 weeks.

    A missed week is empty, and so is the change after it.
    """
    zone = zone_of(time_zone) if time_zone else local_zone()
    filters = f.filters_of(managed_by, product, status, subscription_type, tag, search)
    request = Request("metric", 0, f.moment(as_of, zone), filters, sort_by, output, file, force, metric=name)
    await show(target, request, language, zone, all_namespaces=all_namespaces)
