"""What MkDocs does besides: links out of docs/ lead to the repository; one to a file that is not there is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"\]\((?P<path>(?:\.\./)+[^)#\s]+)(?P<rest>#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Rewrite links that leave docs/. Raises PluginError, which ends the build."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def replace(link: re.Match[str]) -> str:
        target = (here / link["path"]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return link[0]  # MkDocs looks after its own
        if not target.exists():
            raise PluginError(f"docs/{page.file.src_uri} links to {link['path']}, which is not there")
        kind = "tree" if target.is_dir() else "blob"
        return f"]({config.repo_url}/{kind}/main/{target.relative_to(ROOT)}{link['rest'] or ''})"

    return _LINK.sub(replace, markdown)


_SECTIONS = {
    "How to": "howto/*.md",
    "Guide": "*.md",
    "Reference": "reference/*.md",
    "Runbooks": "runbooks/*.md",
    "Decisions": "decisions/*.md",
}
"""Where a page goes that mkdocs.yml does not name: no page may be written and be found by nobody."""


def on_config(config: Any) -> Any:
    """Add the pages that the navigation does not name to its sections, by their names."""
    named = set(_pages(config.nav))
    sections = {title: entries for entry in config.nav if isinstance(entry, dict) for title, entries in entry.items()}
    for title, pattern in _SECTIONS.items():
        found = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob(pattern))
        sections[title] += [page for page in found if page not in named]
    return config


def _pages(entries: Any) -> Iterator[str]:
    """The pages that a navigation names."""
    if isinstance(entries, str):
        yield entries
        return
    for entry in entries.values() if isinstance(entries, dict) else entries:
        yield from _pages(entry)
