"""A secret value that tests give the operator, to be searched for wherever no secret may be."""

from __future__ import annotations

from typing import Final

CANARY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The key of webhooks, and the password of mail servers, in tests on a real API server (tests/security/evidence.py)."""
