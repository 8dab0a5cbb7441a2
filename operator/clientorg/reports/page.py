"""The statement as one self-contained HTML page that prints on A4: our own template, every value escaped."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from clientorg.reports.language import Language
from clientorg.reports.statement import Statement
from clientorg.reports.statementlines import closing_words, described, kind_words, spelled_out
from clientorg.reports.table import storable


@lru_cache
def environment() -> Environment:
    """The environment of our own templates: everything is escaped, nothing undefined passes."""
    return Environment(
        loader=PackageLoader("clientorg.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: storable(value) if type(value) is str else value,  # Markup is another type, and ours
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def statement_page(statement: Statement, language: Language) -> str:
    """The page: no script, no font and no picture from elsewhere."""
    return (
        environment()
        .get_template("statement.html.j2")
        .render(
            statement=statement,
            language=language,
            word=lambda key: language.word(f"statement.{key}"),
            second=timedelta(seconds=1),
            closing=closing_words(statement, language),
            kind_words=kind_words,
            described=described,
            spelled_out=spelled_out,
        )
    )
