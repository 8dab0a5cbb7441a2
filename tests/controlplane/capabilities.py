"""What a test may ask of a cluster, whichever kind it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Capabilities:
    """Tests skip, with a reason, what their cluster cannot do."""

    disposable: bool
    """It was made for this run: cluster-wide objects may be changed at will."""
    has_nodes: bool
    """Pods are scheduled and reach Running."""
    has_audit_log: bool
    """Every request can be read back."""
    can_stop_apiserver: bool
    """Outages can be played."""
