"""Settings of the operator: each is a flag of `python -m handlers` and an environment variable CLIENTORG_…."""

from __future__ import annotations

import socket
import uuid
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clientorg.cluster.lease import LeaseTimes

_Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """How the operator runs. Durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix="CLIENTORG_", frozen=True, extra="ignore")

    kubeconfig: str | None = Field(
        default=None,
        description="Path of a kubeconfig. Absent: KUBECONFIG, ~/.kube/config or the pod's ServiceAccount.",
    )
    context: str | None = Field(default=None, description="Context of the kubeconfig. Absent: its current one.")
    identity: str = Field(
        default_factory=lambda: f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
        description="Name of this process in the Lease and in the pools' books; has to differ from process to process.",
    )
    concurrency: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Objects worked on at the same time. Bulk work (start-up, plan changes, charges) has half of the "
        "places.",
    )
    api_concurrency: int = Field(default=32, ge=1, le=512, description="Requests to the API server at the same time.")
    leader_election: bool = Field(
        default=True,
        description="Take part in the election. Off: for development and tests; a pod then refuses to run.",
    )
    lease_namespace: str = Field(default="clientorg-system", description="Namespace of the Lease.")
    lease_name: str = Field(default="clientorg-operator", description="Name of the Lease.")
    lease_seconds: _Seconds = Field(default=15.0, description="How long a Lease counts that is not renewed.")
    renew_deadline_seconds: _Seconds = Field(default=10.0, description="How long a leader tries to renew.")
    lease_retry_seconds: _Seconds = Field(default=2.0, description="Time between tries to take or renew the Lease.")
    pool_interval_seconds: float = Field(
        default=0.1, ge=0, description="Shortest time between writes of a pool's books; what comes within is folded."
    )
    plan_interval_seconds: float = Field(
        default=2.0, ge=0, description="Shortest time between writes of a plan's status."
    )
    audit_seconds: _Seconds = Field(default=300.0, description="Time between full lists that find missed deletions.")
    purges_per_hour: int = Field(
        default=10,
        ge=1,
        description="Most clients of an agency whose purge begins within an hour, so that a wrong clock or plan edit "
        "cannot wipe an agency.",
    )
    allow_loopback: bool = Field(
        default=False,
        description="Whether mail servers, webhooks and Prometheus servers may be on this machine: for development and "
        "tests. In a cluster that would be the operator's own pod.",
    )
    client_metrics: bool = Field(
        default=False,
        description="Whether each client has metrics of its own (licenses, status, points). With ten thousand clients "
        "that is a hundred thousand series; the agency's sums are there in any case.",
    )
    notify_concurrency: int = Field(default=8, ge=1, le=64, description="Messages delivered at the same time.")
    dev_clock: str | None = Field(
        default=None,
        description="File that holds the time, for development and tests: write 2026-11-25T00:00:00Z into it to step "
        "the clock. Absent: the machine's clock.",
    )
    drain_seconds: _Seconds = Field(default=20.0, description="How long SIGTERM waits for what is under way.")
    health_address: str = Field(
        default="127.0.0.1:8080", description="Address of /healthz and /readyz; empty: none; port 0: a free one."
    )
    metrics_address: str = Field(default="127.0.0.1:8081", description="Address of /metrics; empty: none.")
    tracing_endpoint: str | None = Field(
        default=None,
        description="OTLP/HTTP address for OpenTelemetry traces, such as http://collector.tracing:4318/v1/traces. "
        "Absent: none. Needs the extra `tracing`, which the image has.",
    )
    tracing_ratio: float = Field(default=1.0, ge=0, le=1, description="Share of the passes that are traced.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least severe level.")
    log_format: Literal["json", "plain"] = Field(default="json", description="JSON lines, or plain text for people.")

    @model_validator(mode="after")
    def _lease_times_fit(self) -> Self:
        """The leader has to give up before its lease runs out, and to try more than once before it gives up."""
        if not self.lease_retry_seconds < self.renew_deadline_seconds < self.lease_seconds:
            raise ValueError(
                "lease-retry-seconds must be below renew-deadline-seconds, and that below lease-seconds; the defaults "
                "are 2, 10 and 15"
            )
        return self

    @property
    def lease_times(self) -> LeaseTimes:
        """The times of the election."""
        return LeaseTimes(self.lease_seconds, self.renew_deadline_seconds, self.lease_retry_seconds)
