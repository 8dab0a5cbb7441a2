"""Prometheus metrics of the operator: few series, none per client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.reconciles = Counter(
            "clientorg_reconcile_total",
            "Passes over an object, by kind and outcome (success, retry, conflict, error).",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "clientorg_reconcile_duration_seconds",
            "Duration of a pass over an object, by kind.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.time_to_ready_seconds = Histogram(
            "clientorg_time_to_ready_seconds",
            "Time from a client's creation to its first Ready.",
            buckets=(*_SECONDS, 300, 3600, 86400),
            registry=self.registry,
        )
        self.approval_seconds = Histogram(
            "clientorg_approval_wait_seconds",
            "Time from a client's request to the decision on it, by decision (Approve, Reject).",
            ["decision"],
            buckets=(60, 3600, 14400, 86400, 172800, 259200, 432000, 604800, 1209600),
            registry=self.registry,
        )
        self.onboarded = Counter(
            "clientorg_onboarded_total",
            "Approved clients that could work for the first time, by the plan's approvalTarget (met, missed).",
            ["target"],
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "clientorg_workqueue_depth", "Keys that are ready to be worked on.", registry=self.registry
        )
        self.queue_running = Gauge(
            "clientorg_workqueue_running", "Keys that are being worked on.", registry=self.registry
        )
        self.queue_delayed = Gauge(
            "clientorg_workqueue_delayed", "Keys that wait for a later time or a retry.", registry=self.registry
        )
        self.timers = Gauge("clientorg_timers", "Dates that are waited for.", registry=self.registry)
        self.objects = Gauge(
            "clientorg_objects", "Objects known to the operator, by kind.", ["kind"], registry=self.registry
        )
        self.orphans = Gauge(
            "clientorg_orphaned_workspaces",
            "Workspace namespaces whose client is not there; they are left alone.",
            registry=self.registry,
        )
        self.licenses = Gauge(
            "clientorg_pool_licenses",
            "Licenses of a pool by license and state (total, allocated, pending).",
            ["namespace", "pool", "license", "state"],
            registry=self.registry,
        )
        self.points = Gauge(
            "clientorg_pool_points",
            "Points of a pool by state (balance, waiting, needed, missing).",
            ["namespace", "pool", "state"],
            registry=self.registry,
        )
        self.blueprints = Gauge(
            "clientorg_plan_blueprint_workspaces",
            "Workspaces of a plan that has a blueprint, by state (total, updated, changing, failed).",
            ["namespace", "plan", "state"],
            registry=self.registry,
        )
        self.api_requests = Counter(
            "clientorg_api_requests_total",
            "Requests to the API server, by method and status code (0: no answer).",
            ["method", "code"],
            registry=self.registry,
        )
        self.events_dropped = Gauge(
            "clientorg_events_dropped", "Events that could not be posted.", registry=self.registry
        )
        self.messages = Counter(
            "clientorg_messages_total",
            "Tries to deliver a message, by channel (mail, webhook) and outcome (sent, failed).",
            ["channel", "outcome"],
            registry=self.registry,
        )
        # A counter that is not there until the first time cannot be told from a scrape that failed.
        for channel in ("mail", "webhook"):
            for outcome in ("sent", "failed"):
                self.messages.labels(channel, outcome)
        for target in ("met", "missed"):
            self.onboarded.labels(target)
        for decision in ("Approve", "Reject"):
            self.approval_seconds.labels(decision)
        self.leader = Gauge("clientorg_leader", "1 in the process that leads.", registry=self.registry)
        self.synced = Gauge("clientorg_synced", "1 when all caches are filled.", registry=self.registry)
