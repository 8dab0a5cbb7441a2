"""Org IDs and the names that follow from them (FEATURES Z3, DESIGN section 3)."""

from __future__ import annotations

import hashlib
from typing import Final

from clientorg.api.meta import MAX_NAMESPACE_LENGTH, ORG_ID_LENGTH

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no i, l, o, u, so that an ID survives being read out on the telephone."""


def org_id(uid: str) -> str:
    """The Org ID of the ClientOrg with this UID: 10 characters, 50 bits.

    Derived, so that there is no counter to lose and no ID is ever given out twice: the API server never reuses a
    UID. Two UIDs with one ID (1 in 20 million for ten thousand clients) are told apart by the owner UID on the
    workspace's namespace.
    """
    digest = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8], "big")
    return "".join(_ALPHABET[(digest >> (5 * place)) & 31] for place in range(ORG_ID_LENGTH))


def restored_org_id(annotation: str | None) -> str | None:
    """The Org ID that a client from a backup takes over; None where it takes none, or what it names is none."""
    if annotation is None or len(annotation) != ORG_ID_LENGTH or not set(annotation) <= set(_ALPHABET):
        return None
    return annotation


def workspace_namespace(name: str, org: str) -> str:
    """The namespace of a client's workspace. Never taken from a spec (DESIGN rule 11)."""
    return f"{name}-{org}"


def is_name_too_long(name: str) -> bool:
    """Whether the workspace's namespace would not fit. The CRD refuses such names; this is the second lock."""
    return len(name) + 1 + ORG_ID_LENGTH > MAX_NAMESPACE_LENGTH
