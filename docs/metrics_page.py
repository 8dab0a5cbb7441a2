"""docs/metrics.md, from the metrics that the operator makes (`make docs`)."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from clientorg.control.metrics import Metrics
from clientorg.control.portfoliometrics import PortfolioMetrics

PAGE = Path(__file__).with_name("metrics.md")
HEAD = """\
<!-- Generated from operator/clientorg/control by `make docs`. Do not edit. -->
# Metrics of the operator

Each replica serves its own at `/metrics` (port 8081 in the Deployment); the Service `clientorg-operator-metrics` is
headless, so that a scraper finds every replica. Labels never hold a client's name or Org ID: the number of series grows
with pools, licenses and kinds, not with clients. Use of single clients is in their status, and in the product's own
metrics; the metrics `clientorg_client_…` are there only with the setting `client-metrics`.

`namespace` is the agency's. Where Prometheus puts the target's own namespace under that name, keep ours with
`honorLabels: true`, as the ServiceMonitor of the chart does.

| Metric | Type | Labels | What it is |
|---|---|---|---|
"""
TAIL = """
A histogram has the series `…_bucket`, `…_sum` and `…_count`. Besides these there are the usual ones of a Python
process: `process_…` (memory, CPU time, open files), `python_info` and `python_gc_…`.

[Alerts](alerts.md) are made of them. The counts are those of one process and begin at 0 with it, as Prometheus expects.
"""


def metrics(*, per_client: bool = True) -> list[MetricWrapperBase]:
    """The operator's own metrics, in the order in which they are defined; those of single clients are off in it."""
    own = Metrics()
    found = [*vars(own).values(), *vars(PortfolioMetrics(own.registry, per_client=per_client)).values()]
    return [value for value in found if isinstance(value, MetricWrapperBase)]


def name_of(metric: MetricWrapperBase) -> str:
    """The name as it is scraped; a counter's ends with _total."""
    (family,) = metric.describe()
    return f"{family.name}_total" if isinstance(metric, Counter) else str(family.name)


def render() -> str:
    """The page."""
    rows = []
    for metric in metrics():
        (family,) = metric.describe()
        labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "-"
        rows.append(f"| `{name_of(metric)}` | {family.type} | {labels} | {family.documentation} |\n")
    return HEAD + "".join(rows) + TAIL
