"""What the pools' Prometheus servers said last, for the clients' passes. In memory: the next query says it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clientorg.control.clientobject import Client
from clientorg.control.objects import Name
from clientorg.domain.usage import Sample

PROMETHEUS_SOURCE = "@prometheus"
"""No name that a UsageReport may give its source."""


@dataclass
class Samples:
    """The newest answers, by pool and Org ID.

    Attributes:
        answers: for each pool when it was asked, and license to value for each Org ID.
    """

    answers: dict[Name, tuple[datetime, Mapping[str, Mapping[str, int]]]] = field(default_factory=dict)

    def of(self, client: Client) -> list[Sample]:
        """What was said of the client."""
        answer = self.answers.get((client.name[0], client.pool))
        if answer is None:
            return []
        observed, values = answer
        found = values.get(client.org_id, {})
        return [Sample(PROMETHEUS_SOURCE, license, value, observed) for license, value in found.items()]

    def seen(self, client: Client) -> datetime | None:
        """When something was last said of the client."""
        answer = self.answers.get((client.name[0], client.pool))
        return answer[0] if answer is not None and client.org_id in answer[1] else None
