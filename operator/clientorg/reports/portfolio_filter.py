"""Filters of the portfolio, combined (FEATURES W4). Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace

from clientorg.domain.snapshots import Series
from clientorg.domain.subscription import Subscription
from clientorg.reports.portfolio import Filter
from clientorg.reports.portfolio_read import Held, Holding, Portfolio
from clientorg.reports.portfolio_rows import EXTERNAL, OWN


def filtered(portfolio: Portfolio, wanted: Filter) -> Portfolio:
    """The clients and orders that match every filter, with the products and subscriptions that do."""
    if not wanted.is_narrow:
        return portfolio
    words = _folded(wanted.search).split()
    kept = (_narrowed(item, wanted) for item in portfolio.holdings if _matches(item, wanted, words))
    return replace(portfolio, holdings=tuple(item for item in kept if item is not None))


def _matches(item: Holding, wanted: Filter, words: list[str]) -> bool:
    if wanted.statuses and not set(wanted.statuses) & set(item.statuses):
        return False
    tags = item.client.tags if item.client is not None else ()
    if not set(wanted.tags) <= set(tags):
        return False
    if wanted.managed_by and not any(_manages(name, item) for name in wanted.managed_by):
        return False
    if not words:
        return True
    orders = [text for order in item.subscriptions for text in (order.order_id, order.name, order.customer)]
    text = _folded("\n".join((*(item.client.words if item.client is not None else ()), *orders)))
    return all(word in text for word in words)


def _manages(name: str, item: Holding) -> bool:
    if item.client is None:
        return False  # an order is managed by nobody yet
    if name.casefold() in (OWN, EXTERNAL):
        return bool(item.client.admins) == (name.casefold() == EXTERNAL)
    return _folded(name) in {_folded(admin) for admin in item.client.admins}


def _narrowed(item: Holding, wanted: Filter) -> Holding | None:
    """The products and subscriptions that match; None where there is nothing left."""
    if not wanted.products and not wanted.types:
        return item
    subscriptions = tuple(
        narrow
        for order in item.subscriptions
        if not wanted.types or order.type in wanted.types
        if (narrow := _of_products(order, wanted.products)) is not None
    )
    names: set[str] | None = set(wanted.products) or None
    if wanted.types:  # licenses beside the subscriptions of that type are none of it
        names = {product for order in subscriptions for product in order.products}
    licenses = _only(item.licenses, names)
    columns = {name: found for name, found in item.series.licenses.items() if names is None or name in names}
    if not subscriptions and not licenses:
        return None
    series = Series(item.series.weeks, columns, item.series.metrics)
    return replace(
        item, subscriptions=subscriptions, licenses=licenses, series=replace(series, metrics=item.series.metrics)
    )


def _only(licenses: Mapping[str, Held], names: set[str] | None) -> Mapping[str, Held]:
    return licenses if names is None else {name: held for name, held in licenses.items() if name in names}


def _of_products(order: Subscription, products: Collection[str]) -> Subscription | None:
    if not products:
        return order
    left = {name: quantity for name, quantity in order.products.items() if name in products}
    return replace(order, products=left) if left else None


def _folded(text: str) -> str:
    """For comparing as people do: no case, and full-width letters equal to narrow ones."""
    return unicodedata.normalize("NFKC", text).casefold()
