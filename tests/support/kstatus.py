"""The kstatus rules, as Argo CD, Flux and `kubectl wait` users expect them of any object.

Source: sigs.k8s.io/cli-utils, pkg/kstatus (README.md; `checkGenericProperties` and `checkReadyCondition`): for a kind
without rules of its own deletion counts first, then the generation, then Reconciling and Stalled, then Ready where the
object has it; what says nothing at all is Current.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class KStatus(StrEnum):
    """What a tool would show."""

    IN_PROGRESS = "InProgress"
    CURRENT = "Current"
    FAILED = "Failed"
    TERMINATING = "Terminating"


def kstatus(manifest: Mapping[str, Any]) -> KStatus:
    """The kstatus of an object.

    Raises:
        ValueError: the object breaks the contract: Reconciling and Stalled at once, a type twice, Ready beside either.
    """
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    conditions = status.get("conditions") or []
    by_type = {condition["type"]: condition["status"] for condition in conditions}
    _check(conditions, by_type)
    if "deletionTimestamp" in metadata:
        return KStatus.TERMINATING
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata["generation"]:
        return KStatus.IN_PROGRESS
    if by_type.get("Reconciling") == "True":
        return KStatus.IN_PROGRESS
    if by_type.get("Stalled") == "True":
        return KStatus.FAILED
    ready = by_type.get("Ready", "True")
    return KStatus.CURRENT if ready == "True" else KStatus.IN_PROGRESS


def _check(conditions: list[Mapping[str, Any]], by_type: Mapping[str, str]) -> None:
    if len(by_type) != len(conditions):
        raise ValueError(f"a condition type twice: {[condition['type'] for condition in conditions]}")
    is_reconciling, is_stalled = by_type.get("Reconciling") == "True", by_type.get("Stalled") == "True"
    if is_reconciling and is_stalled:
        raise ValueError("Reconciling and Stalled at once")
    if by_type.get("Ready") == "True" and (is_reconciling or is_stalled):
        raise ValueError("Ready beside Reconciling or Stalled")
