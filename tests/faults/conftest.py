"""A control plane with an operator that can be killed at any write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.ground import Ground, prepared
from tests.faults.stage import Stage
from tests.faults.telling import Telling, undisturbed_telling


@pytest.fixture(scope="session")
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A control plane with everything but the operator."""
    if request.config.getoption("--cluster") != "local":
        pytest.skip("needs the authority that signs for the API server")
    with prepared() as ground:
        yield ground


@pytest.fixture(scope="session")
def stage(ground: Ground) -> Iterator[Stage]:
    """What stories are told on; the operator starts with the first of them."""
    with Stage(ground) as stage:
        yield stage


@pytest.fixture(scope="session")
def undisturbed(stage: Stage) -> Telling:
    """A reallocation as it goes when nothing is in its way."""
    return undisturbed_telling(stage, "reallocate", quiet_seconds=2.0)
