"""Rows to text: tables as kubectl prints them, CSV, and objects as JSON or YAML."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clientorg.cli.terminal import Color, paint
from clientorg.cli.text import plain

Json = dict[str, Any]

GAP = "   "
_LOOKS_LIKE_ANOTHER_TYPE = re.compile(r"[-+.0-9].*|[yYnN]|", re.DOTALL)
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text in a table, with its color and its side."""

    text: str
    color: Color | None = None
    right: bool = False


def width(text: str) -> int:
    """Columns that the text takes on a terminal; Japanese characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def column_widths(rows: Iterable[Sequence[Cell]], at_least: Sequence[int] = ()) -> list[int]:
    """The width of each column."""
    widths = list(at_least)
    for row in rows:
        widths.extend([0] * (len(row) - len(widths)))
        for index, cell in enumerate(row):
            widths[index] = max(widths[index], width(cell.text))
    return widths


def line(row: Sequence[Cell], widths: Sequence[int], *, color: bool) -> str:
    """One line of a table, without trailing blanks."""
    parts = []
    last = len(row) - 1
    for index, cell in enumerate(row):
        blanks = " " * (widths[index] - width(cell.text))
        text = paint(cell.text, cell.color, enabled=color)
        parts.append(blanks + text if cell.right else text if index == last else text + blanks)
    return GAP.join(parts).rstrip()


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], *, color: bool, headers: bool = True) -> Iterator[str]:
    """The lines of a table; numbers' headings stand over the numbers."""
    sides = [cell.right for cell in rows[0]] if rows else [False] * len(header)
    top = [[Cell(text, right=right) for text, right in zip(header, sides, strict=True)]] if headers else []
    widths = column_widths([*top, *rows])
    for row in (*top, *rows):
        yield line(row, widths, color=color)


def cells(*values: str | Cell) -> list[Cell]:
    """A row, safe to print."""
    return [value if isinstance(value, Cell) else Cell(plain(value)) for value in values]


def pairs(items: Iterable[tuple[str, str]], indent: str = "") -> Iterator[str]:
    """`Label:  value` lines as kubectl describe prints them; several lines of a value stand below each other."""
    known = [(f"{label}:" if label else "", value) for label, value in items]
    longest = max((width(label) for label, _ in known), default=0)
    for label, value in known:
        first, *rest = value.split("\n")
        yield f"{indent}{label}{' ' * (longest - width(label))}  {first}".rstrip()
        for more in rest:
            yield f"{indent}{' ' * longest}  {more}"


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str | int | None]], *, headers: bool = True) -> str:
    """RFC 4180, with LF and one line a row. What a spreadsheet would run as a formula gets an apostrophe (OWASP)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if headers:
        writer.writerow(header)
    for row in rows:
        writer.writerow([_defused(plain(value)) if isinstance(value, str) else value for value in row])
    return out.getvalue()


def _defused(text: str) -> str:
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def without_managed_fields(item: Json) -> Json:
    """The object as the server gave it, without the bookkeeping that nobody reads."""
    metadata = {key: value for key, value in item.get("metadata", {}).items() if key != "managedFields"}
    return {**item, "metadata": metadata}


def as_list(items: Sequence[Json]) -> Json:
    """Several objects as one, as kubectl prints them."""
    return {"apiVersion": "v1", "items": list(items), "kind": "List", "metadata": {"resourceVersion": ""}}


def as_json(value: Json, *, indent: bool = True) -> str:
    """JSON; on one line for streams."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()


def as_yaml(value: Json) -> str:
    """YAML that Kubernetes reads back as it was.

    PyYAML knows YAML 1.1, Go's reader takes more for numbers (`08123`, `1e3`) and booleans (`y`): what could be taken
    for another type is quoted.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, data: str) -> Any:
        style = "|" if "\n" in data else '"' if _LOOKS_LIKE_ANOTHER_TYPE.fullmatch(data) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000))


def as_document(value: Json, *, yaml: bool) -> str:
    """One whole answer as YAML or JSON, with its line end."""
    return as_yaml(value) if yaml else as_json(value) + "\n"
