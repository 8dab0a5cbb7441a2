"""The portfolio as Prometheus metrics: few series for each agency, and for each client only where that is asked for."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from clientorg.api.clientorg import ClientStatus, OrgState
from clientorg.api.subscription import InvoiceState
from clientorg.control.clientobject import Client
from clientorg.control.store import Store
from clientorg.control.subscriptionstore import SubscriptionObject
from clientorg.domain.subscription import renews
from clientorg.domain.timestamps import timestamp

WITHIN: Final = timedelta(days=90)
"""The window of what expires and renews (FEATURES W8)."""


class PortfolioMetrics:
    """Counted anew at each scrape from what the store knows; with ten thousand clients that takes some milliseconds."""

    def __init__(self, registry: CollectorRegistry, *, per_client: bool) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"clientorg_{name}", text, labels, registry=registry)

        self._states = gauge("portfolio_clients", "Clients by state.", "namespace", "state")
        self._statuses = gauge(
            "portfolio_client_statuses",
            "Clients by status (Trial, Active, ExpiringSoon, …); one with several counts in each.",
            *("namespace", "status"),
        )
        self._licenses = gauge(
            "portfolio_licenses",
            "Licenses of all clients by license and kind (granted, assigned, used).",
            *("namespace", "license", "kind"),
        )
        self._subscriptions = gauge(
            "portfolio_subscriptions", "Subscriptions by type and state.", "namespace", "type", "state"
        )
        self._ending = gauge(
            "portfolio_subscriptions_ending",
            "Subscriptions whose term ends within 90 days, by what follows (renews, expires).",
            *("namespace", "then"),
        )
        self._invoices = gauge(
            "portfolio_invoices", "Invoices by state (open, overdue, paid).", "namespace", "currency", "state"
        )
        self._amounts = gauge(
            "portfolio_invoice_amount",
            "Sum of the invoices' amounts, by currency and state (open, overdue, paid).",
            *("namespace", "currency", "state"),
        )
        self._gauges = [
            *(self._states, self._statuses, self._licenses, self._subscriptions),
            *(self._ending, self._invoices, self._amounts),
        ]
        self._per_client = per_client
        if per_client:
            self._client_licenses = gauge(
                "client_licenses",
                "Licenses of a client by license and kind (granted, assigned, used).",
                *("namespace", "client", "license", "kind"),
            )
            self._client_statuses = gauge(
                "client_status", "1 for each status of a client.", "namespace", "client", "status"
            )
            self._client_points = gauge("client_points", "Points of a client.", "namespace", "client")
            self._gauges += [self._client_licenses, self._client_statuses, self._client_points]

    def refresh(self, store: Store, now: datetime) -> None:
        """Count."""
        for gauge in self._gauges:
            gauge.clear()
        self._count_clients(store)
        self._count_subscriptions(store, now)

    def _count_clients(self, store: Store) -> None:
        states: Counter[tuple[str, str]] = Counter()
        statuses: Counter[tuple[str, str]] = Counter()
        licenses: Counter[tuple[str, str, str]] = Counter()
        for client in store.clients.values():
            agency = client.name[0]
            states[agency, client.shown_state] += 1
            for status in client.standing:
                statuses[agency, status] += 1
            for kind, quantities in _quantities(client).items():
                for license, quantity in quantities.items():
                    licenses[agency, license, kind] += quantity
            if self._per_client:
                self._tell_client(client)
        # Also what nobody is: a series that comes and goes cannot be told from a scrape that failed.
        for agency in {name for name, _ in states}:
            for state in OrgState:
                self._states.labels(agency, state.value).set(states[agency, state.value])
            for known in ClientStatus:
                self._statuses.labels(agency, known.value).set(statuses[agency, known.value])
        for labels, quantity in licenses.items():
            self._licenses.labels(*labels).set(quantity)

    def _tell_client(self, client: Client) -> None:
        for status in client.standing:
            self._client_statuses.labels(*client.name, status).set(1)
        for kind, quantities in _quantities(client).items():
            for license, quantity in quantities.items():
                self._client_licenses.labels(*client.name, license, kind).set(quantity)
        if client.balance is not None:
            self._client_points.labels(*client.name).set(client.balance)

    def _count_subscriptions(self, store: Store, now: datetime) -> None:
        found: Counter[tuple[str, str, str]] = Counter()
        ending: Counter[tuple[str, str]] = Counter()
        invoices: Counter[tuple[str, str, str]] = Counter()
        amounts: dict[tuple[str, str, str], float] = {}
        for item in store.subscriptions.all.values():
            agency = item.name[0]
            found[agency, item.facts.type.value, item.status.get("state", "Unknown")] += 1
            for then in ("renews", "expires"):
                ending[agency, then] += 0
            if _ends_soon(item, now):
                ending[agency, "renews" if renews(item.facts) else "expires"] += 1
            for invoice in item.facts.invoices:
                if invoice.state is InvoiceState.VOID:
                    continue
                state = "paid" if invoice.state is InvoiceState.PAID else "open"
                if state == "open" and invoice.amount > 0 and invoice.due < now.date():
                    state = "overdue"
                labels = (agency, invoice.currency, state)
                invoices[labels] += 1
                amounts[labels] = amounts.get(labels, 0.0) + float(invoice.amount)
        for labels, count in found.items():
            self._subscriptions.labels(*labels).set(count)
        for key, count in ending.items():
            self._ending.labels(*key).set(count)
        for labels, count in invoices.items():
            self._invoices.labels(*labels).set(count)
            self._amounts.labels(*labels).set(amounts[labels])


def _quantities(client: Client) -> dict[str, dict[str, int]]:
    return {"granted": client.held, "assigned": client.assigned, "used": client.used}


def _ends_soon(item: SubscriptionObject, now: datetime) -> bool:
    """By the operator's own status: of a client that is set up, to the day."""
    end = timestamp((item.status.get("term") or {}).get("endDate"))
    return item.client is not None and end is not None and now < end <= now + WITHIN
