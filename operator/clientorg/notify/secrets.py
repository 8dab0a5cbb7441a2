"""Reading the Secrets that a plan names, with errors that say which key is wrong and never what is in it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from clientorg.domain.secretdata import text_of
from clientorg.errors import NotificationError


class SecretData:
    """The data of one Secret, decoded key by key."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self.name = str(manifest["metadata"]["name"])
        self._data: Mapping[str, str] = manifest.get("data") or {}

    def get(self, key: str) -> str | None:
        """The value, without the line break that `echo` leaves; None where it is absent or empty.

        Raises:
            NotificationError: it is no text.
        """
        encoded = self._data.get(key)
        if not encoded:
            return None
        try:
            return text_of(key, encoded) or None
        except ValueError as error:
            raise self.problem(key, "is no text") from error

    def required(self, key: str, example: str) -> str:
        """The value.

        Raises:
            NotificationError: it is missing.
        """
        value = self.get(key)
        if value is None:
            raise self.problem(key, f"is missing; set it, for example to {example}")
        return value

    def tls_context(self) -> ssl.SSLContext | None:
        """Verifies certificates with the authorities in `ca.crt` and no others; None where there are none.

        Raises:
            NotificationError: that is no PEM.
        """
        authorities = self.get("ca.crt")
        if authorities is None:
            return None
        try:
            return ssl.create_default_context(cadata=authorities)
        except (ssl.SSLError, ValueError) as error:
            raise self.problem("ca.crt", "holds no certificates in PEM") from error

    def problem(self, key: str, what: str) -> NotificationError:
        """The error for a key. It passes when somebody corrects the Secret."""
        return NotificationError(f"Secret {self.name}: key {key!r} {what}", permanent=False)
