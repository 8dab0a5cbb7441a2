"""What Kopf is given of a watch: the news, and everything that is not about an object's new version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.control.keys import Kind
from clientorg.control.objects import Name
from handlers.session import News

KNOWN = 10


def knows(kind: Kind, name: Name, version: int) -> bool:
    """One client is known, in one version."""
    return (kind, name) == (Kind.CLIENT, ("agency", "acme")) and version <= KNOWN


class Body:
    """The body of an answer, in chunks as they come."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def exception(self) -> None:
        """As of a stream that is well."""

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """The chunks."""
        for chunk in self.chunks:
            yield chunk


def news_of(chunks: list[bytes], kind: Kind = Kind.CLIENT) -> News:
    """The body of a watch of that kind."""
    return News(cast(aiohttp.StreamReader, Body(chunks)), kind, knows)


async def read(news: News) -> list[bytes]:
    """The lines that are passed on."""
    return b"".join([chunk async for chunk in news.iter_chunked(1024)]).splitlines()


def line(event: str, version: str, name: str = "acme", **more: Any) -> bytes:
    """A line of a watch."""
    metadata = {"name": name, "namespace": "agency", "resourceVersion": version, "managedFields": [{"manager": "x"}]}
    return orjson.dumps({"type": event, "object": {"metadata": metadata, "spec": {"a": "b"}, **more}})


@pytest.mark.parametrize("event", ["ADDED", "MODIFIED"])
async def test_what_is_known_in_that_version_is_no_news(event: str) -> None:
    old, same, new = (line(event, str(version)) for version in (KNOWN - 1, KNOWN, KNOWN + 1))

    assert await read(news_of([b"\n".join((old, same, new, b""))])) == [new]


@pytest.mark.parametrize(
    "always",
    [
        line("DELETED", "1"),
        line("MODIFIED", "1", name="another"),
        line("MODIFIED", "opaque"),
        b'{"type":"BOOKMARK","object":{"kind":"ClientOrg","metadata":{"resourceVersion":"5"}}}',
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}',
        b"not JSON",
    ],
)
async def test_everything_else_is_passed_on_as_it_came(always: bytes) -> None:
    assert await read(news_of([line("ADDED", "1") + b"\n" + always + b"\n"])) == [always]


@pytest.mark.parametrize("code", [429, 500, 504, 0])
async def test_any_other_error_is_a_lost_connection_and_not_the_end(code: int) -> None:
    """What came before it is passed on all the same."""
    error = orjson.dumps({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "etcd is slow"}})
    news = news_of([line("ADDED", "11") + b"\n", error + b"\n", line("ADDED", "12") + b"\n"])
    chunks = news.iter_chunked(1024)

    assert await anext(chunks) == line("ADDED", "11") + b"\n"
    with pytest.raises(aiohttp.ClientPayloadError, match=f"watch of ClientOrg: {code} etcd is slow"):
        await anext(chunks)


async def test_another_kind_of_the_same_name_is_news() -> None:
    pool = line("ADDED", "1")

    assert await read(news_of([pool + b"\n"], Kind.POOL)) == [pool]


@given(st.lists(st.integers(0, 2 * KNOWN)), st.integers(1, 50))
async def test_lines_are_found_wherever_the_chunks_are_cut(versions: list[int], size: int) -> None:
    lines = [line("MODIFIED", str(version)) for version in versions]
    text = b"".join(item + b"\n" for item in lines)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]

    assert await read(news_of(chunks)) == [
        item for item, version in zip(lines, versions, strict=True) if version > KNOWN
    ]


def test_the_rest_of_the_stream_is_the_streams_own() -> None:
    assert news_of([]).exception() is None
