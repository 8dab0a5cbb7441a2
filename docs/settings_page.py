"""Writes docs/settings.md from the settings themselves (`make docs`), so that the page cannot lag behind them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic.fields import FieldInfo

from clientorg.control.settings import Settings

PAGE = Path(__file__).with_name("settings.md")
HEAD = """\
<!-- Generated from operator/clientorg/control/settings.py by `make docs`. Do not edit. -->
# Settings of the operator

Each setting is a flag of `python -m handlers run` and an environment variable; a flag wins. A value that is not allowed
ends the process with exit code 2 before it does anything. In a cluster they are the `env` of the Deployment in
[manifests/deployment.yaml](../manifests/deployment.yaml).

| Flag | Environment variable | Default | Allowed | What it does |
|---|---|---|---|---|
"""
TAIL = """
The defaults of the election are those of client-go. Keep `--renew-deadline-seconds` below `--lease-seconds`: otherwise
two operators can lead at once for a while. The pool's books stand that
([0002](decisions/0002-grants-by-serial-number.md)), but all work is done twice.
"""
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def default_of(field: FieldInfo) -> str:
    """The default as it would be written on a command line."""
    if field.default_factory is not None:
        return "differs for each process"
    if field.default is None:
        return "none"
    value = str(field.default).lower() if isinstance(field.default, bool) else f"{field.default}"
    return f"`{value.removesuffix('.0') if isinstance(field.default, float) else value}`"


def allowed_in(field: FieldInfo) -> str:
    """The values a setting takes."""
    annotation: Any = field.annotation
    if choices := [item for item in get_args(annotation) if isinstance(item, str)]:
        return ", ".join(f"`{item}`" for item in choices)
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not NoneType]
    bounds = [
        f"{sign} {getattr(item, name):g}"
        for item in field.metadata
        for name, sign in _BOUNDS.items()
        if getattr(item, name, None) is not None
    ]
    names = {str: "text", int: "whole number", float: "seconds", bool: "`true`, `false`"}
    return ", ".join([names.get(kinds[0], str(kinds[0])), *bounds])


def render() -> str:
    """The page."""
    rows = [
        f"| `--{name.replace('_', '-')}` | `CLIENTORG_{name.upper()}` | {default_of(field)} | {allowed_in(field)}"
        f" | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "".join(rows) + TAIL


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with --check compare it; exit status 1: it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page would change")
    text = render()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if parser.parse_args(arguments).check:
        print("docs/settings.md differs from the settings; run `make docs` and commit it", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
