"""`make bench DASHBOARD=1`: the dashboard over a portfolio in a real browser, on a real API server. One table."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import uvloop
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from tests.bench import load
from tests.bench.measuring import fresh_plane
from tests.bench.reports import fill, listing
from tests.browser.chromium import find_chromium
from tests.browser.dashboard import running, visiting

console = Console(stderr=True)
WAIT_MS: Final = 120_000
_LOADED: Final = "performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
"""Seconds from the link, over the redirect, until everything of the page is there."""
_SEARCH: Final = """term => new Promise((done) => {
  const began = performance.now();
  document.addEventListener("htmx:afterSettle", function settled() {
    if (new URLSearchParams(location.search).get("q") !== term) return;
    document.removeEventListener("htmx:afterSettle", settled);
    requestAnimationFrame(() => done((performance.now() - began) / 1000));
  });
  const field = document.getElementById("q");
  field.value = term;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""
"""Types a term as a person pastes it, and tells how many seconds later its clients are on the screen."""


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(kubeconfig: Path, count: int, rounds: int, table: Table) -> None:
    """Open the dashboard and do what a person does, each thing so often; the rows go into the table."""

    def row(what: str, *found: float) -> None:
        table.add_row(what, f"{statistics.median(found):.2f}", f"{max(found):.2f}")

    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.program,
            env=dict(chromium.environment),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        began = time.perf_counter()
        with running(kubeconfig, load.AGENCY, Path(folder)) as dashboard:
            row("from the command to its link", time.perf_counter() - began)
            began = time.perf_counter()
            with visiting(browser, dashboard) as visitor:
                page, origin = visitor.page, visitor.origin
                row("the first page, as the browser measures it", page.evaluate(_LOADED))
                row("from the link to the first page, with a new tab", time.perf_counter() - began)
                page.wait_for_function("document.querySelector('.figure dd').textContent !== '–'", timeout=WAIT_MS)
                row("from the link to the key figures", time.perf_counter() - began)
                _whole(page, origin, count)
                row("from the link to the whole list", time.perf_counter() - began)
                row("the first page again", *(seconds_of(partial(visitor.go, "/")) for _ in range(rounds)))
                numbers = [1 + index * (count // 50) // rounds for index in range(rounds)]
                row("a page of the list", *(seconds_of(partial(visitor.go, f"/clients?page={n}")) for n in numbers))
                visitor.go("/clients")
                terms = [f"client-{index * count // rounds:05d}" for index in range(rounds)]
                row("a search, typed", *(page.evaluate(_SEARCH, term) for term in terms))
                row("a filter by status", seconds_of(partial(visitor.go, "/clients?status=ExpiringSoon")))
                row("a client", *(seconds_of(partial(visitor.go, f"/clients/{_name(term)}")) for term in terms))
                row("a table of the reports", seconds_of(partial(visitor.go, "/reports/low-allocation")))
                row("the trends", seconds_of(partial(visitor.go, "/trends?metric=calls")))
        browser.close()


def _whole(page: Page, origin: str, count: int) -> None:
    """Wait until the list says that it has all clients."""
    page.goto(f"{origin}/clients")
    expected = f"of {count:,}"
    page.wait_for_function(
        "text => document.querySelector('#live .hint').textContent.endsWith(text)", arg=expected, timeout=WAIT_MS
    )


def _name(term: str) -> str:
    (manifest,) = load.clients(1, prefix=term)
    return str(manifest["metadata"]["name"])


def main() -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench DASHBOARD=1", description=__doc__)
    parser.add_argument("-n", type=int, default=10_000, metavar="N", help="clients (default 10,000)")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="how often each thing is done (10)")
    arguments = parser.parse_args()
    with fresh_plane() as plane:
        console.log(f"creating {arguments.n} clients with subscriptions and three months of snapshots")

        async def prepare() -> float:
            async with load.connection(plane.kubeconfig, load.CONCURRENCY) as api:
                await fill(api, arguments.n)
                return await listing(api)

        floor = uvloop.run(prepare())
        table = Table("what", "seconds (median)", "at most", title=f"the dashboard, {arguments.n} clients")
        table.add_row("floor: the API server lists clients, subscriptions and plans", f"{floor:.2f}", "")
        measure(plane.kubeconfig, arguments.n, arguments.rounds, table)
    Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
