"""The connection of one command: the user's kubeconfig and rights, and the server's warnings shown as they come."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clientorg.cli.options import Target
from clientorg.cli.terminal import warn
from clientorg.cli.text import plain
from clientorg.errors import ConfigurationError

if TYPE_CHECKING:
    from clientorg.cluster.rest import Api

_POLICY_WARNING = re.compile(
    r"Validation failed for ValidatingAdmissionPolicy '(?P<policy>[^']*)' with binding '[^']*': (?P<why>.*)", re.DOTALL
)
LICENSE_WARNINGS = "clientorg-client-warnings"
"""The policy that warns of licenses the pool lacks (manifests/policies)."""
COMPONENT = "kubectl-clientorg"
"""User-Agent and field manager."""


class Warnings:
    """The server's warnings on standard error, each once, without the policy's name before them."""

    def __init__(self) -> None:
        self.muted_policies: set[str] = set()
        """Policies whose warnings the command knows to be beside the point, or gives itself."""
        self._seen: set[str] = set()

    def take(self, text: str) -> None:
        """Print one, as kubectl does."""
        match = _POLICY_WARNING.match(text)
        if match and match["policy"] in self.muted_policies:
            return
        shown = plain(match["why"] if match else text)
        if shown not in self._seen:
            self._seen.add(shown)
            warn(shown)


@dataclass(frozen=True)
class Session:
    """An open connection, the namespace to work in, and what the server warns of."""

    api: Api
    namespace: str
    warnings: Warnings


@asynccontextmanager
async def connect(
    target: Target, *, timeout_seconds: float = 30.0, field_manager: str | None = None, act_as: str | None = None
) -> AsyncIterator[Session]:
    """Open the connection; the server is not asked yet.

    Args:
        field_manager: who owns what is written; the command itself where none is given.
        act_as: whom to impersonate; nobody, or whom the kubeconfig says, where none is given.

    Raises:
        ConfigurationError: there are no usable credentials.
    """
    # Imported late: help, completion of flags and client-side dry runs need no cluster, and this takes 0.4 s.
    from clientorg.cluster.credentials import Source
    from clientorg.cluster.rest import Api

    warnings = Warnings()
    _check_kubeconfig(target)
    source = Source(kubeconfig=target.kubeconfig, context=target.context)
    api = await Api.connect(
        source,
        component=COMPONENT,
        field_manager=field_manager,
        act_as=act_as,
        on_warning=warnings.take,
        timeout_seconds=timeout_seconds,
    )
    async with api:
        yield Session(api, target.namespace or api.credentials.default_namespace, warnings)


def _check_kubeconfig(target: Target) -> None:
    """A wrong path is told as such; the library says only what the empty configuration lacks."""
    logging.getLogger("kubernetes").addHandler(logging.NullHandler())  # what it logs we tell ourselves
    given = target.kubeconfig or os.environ.get("KUBECONFIG")
    if given and not any(Path(part).expanduser().exists() for part in given.split(os.pathsep) if part):
        source = "--kubeconfig" if target.kubeconfig else "$KUBECONFIG"
        raise ConfigurationError(f"{source}: there is no file {plain(given)}")
