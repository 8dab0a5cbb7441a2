"""JSON logs with the object, its UID and generation, and an ID for each pass."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=_NOTHING)


class ContextFilter(logging.Filter):
    """Adds what the current pass is about to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        for name, value in _context.get().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Fields for every record that is logged within."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure(level: str = "INFO", style: str = "json") -> None:
    """Send all logs to standard error, as JSON lines or as plain text.

    Raises:
        ValueError: the level or the style is none.
    """
    if style not in ("json", "plain"):
        raise ValueError(f"log format {style!r}: choose json or plain")
    handler = logging.StreamHandler()
    handler.addFilter(ContextFilter())
    if style == "json":
        handler.setFormatter(
            JsonFormatter(
                "{asctime}{levelname}{name}{message}",
                style="{",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
                datefmt="%Y-%m-%dT%H:%M:%S%z",
            )
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("kopf").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
