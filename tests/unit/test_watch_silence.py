"""A watch whose connection is cut off and stays open tells nothing, for ever. `make test-faults` has such watches in
every fourth seed; here is what they rely on."""

from __future__ import annotations

import kopf

from clientorg.cluster.informer import SILENCE_SECONDS, WATCH_SECONDS
from handlers.lifecycle import _tune


def test_silence_of_a_watch_is_noticed_within_a_minute_and_never_of_one_that_lives() -> None:
    settings = kopf.OperatorSettings()

    _tune(settings)

    watching = settings.watching
    assert (watching.server_timeout, watching.inactivity_timeout) == (WATCH_SECONDS, SILENCE_SECONDS)
    assert watching.client_timeout is not None
    assert WATCH_SECONDS < SILENCE_SECONDS <= watching.client_timeout < 60
