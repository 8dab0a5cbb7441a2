"""Writes every page of docs/ that is made from code (`make docs-pages`), so that none can lag behind it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs import alerts_page, metrics_page, reference_page, settings_page

ROOT = Path(__file__).resolve().parents[1]


def pages() -> dict[Path, str]:
    """Every page and its text."""
    return {
        settings_page.PAGE: settings_page.render(),
        metrics_page.PAGE: metrics_page.render(),
        alerts_page.PAGE: alerts_page.render(),
        **reference_page.pages(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or with --check compare them; exit status 1: one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page would change")
    check = parser.parse_args(arguments).check
    stale = {
        path: text for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
    if stale and check:
        print(f"differs from its sources: {names}; run `make docs-pages` and commit", file=sys.stderr)
        return 1
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    if stale:
        print(f"wrote {names}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
