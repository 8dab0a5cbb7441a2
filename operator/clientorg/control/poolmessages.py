"""The outbox of a pool, as a pass over it writes it: what is told is what its own status records (FEATURES S10)."""

from __future__ import annotations

import logging
from datetime import datetime

from clientorg.api.notifications import Channel
from clientorg.api.quotapool import PoolPoints
from clientorg.control.objects import Json, Pool
from clientorg.domain import outbox as box
from clientorg.domain.messages import from_status, to_status
from clientorg.domain.notices import add_all
from clientorg.domain.pool_notices import pool_notices, without_untrue
from clientorg.notify.sender import channels_of

logger = logging.getLogger(__name__)


def with_pool_messages(pool: Pool, before: Json, after: Json, now: datetime) -> list[Json]:
    """The `outbox` for the status that a pass is about to write, in one write with what it tells.

    When it is not empty, ask for its delivery once the status is written: `Notifier.due(pool.name, Kind.POOL)`. To do
    so in each pass costs nothing where nothing is due, and takes up after a restart what was left.

    Args:
        pool: as the pass judged it.
        before: its status, which is about to be replaced.
        after: the status that replaces it, with conditions and points; its own `outbox` is not looked at.
    """
    channels = _channels(pool.points)
    outbox = from_status(before.get("outbox") or ())
    for channel in Channel:
        if channel not in channels:
            outbox = box.switch_off(outbox, channel)
    outbox = without_untrue(outbox, after)
    notices = pool_notices(before, after, now, low_below=pool.points.low_below)
    outbox, given_up = add_all(outbox, notices, now, channels)
    for entry in given_up:
        logger.warning(
            "QuotaPool %s: message %s was given up: the outbox is full of others that cannot be delivered",
            "/".join(pool.name),
            entry.key,
        )
    return to_status(outbox)


def _channels(points: PoolPoints) -> frozenset[Channel]:
    """The ways to the agency; mails need somebody who gets them."""
    channels = channels_of(points.notifications)
    return channels if points.contact is not None else channels - {Channel.MAIL}
