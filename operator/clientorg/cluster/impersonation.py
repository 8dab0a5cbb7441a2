"""Whom a kubeconfig's user asks the API server to take them for: its fields `as`, `as-uid`, `as-groups` and
`as-user-extra`, which kubectl honors and the Kubernetes client library passes over. To pass over them would be to act
with rights that the user has laid down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from kubernetes.aio.config.kube_config import KubeConfigMerger

_FIELDS = ("as-uid", "as-groups", "as-user-extra")


def impersonation(paths: str, user: str | None) -> tuple[tuple[str, str], ...]:
    """The request headers of a kubeconfig's user; none where the user stands for themselves.

    Args:
        paths: the kubeconfig, or several, as in $KUBECONFIG.
        user: the name of the entry in `users` that the context names.

    Raises:
        ValueError: somebody is described, and not named.
        OSError, TypeError, AttributeError, yaml.YAMLError: it cannot be read.
    """
    for item in KubeConfigMerger(paths).config.value["users"]:
        if item.value.get("name") == user:
            return _headers(item.value.get("user") or {})
    return ()


def _headers(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    name = user.get("as")
    if not name:
        if given := [field for field in _FIELDS if user.get(field)]:
            raise ValueError(f"{given[0]} without `as`: say who is to be impersonated, or remove it")
        return ()
    headers = [("Impersonate-User", str(name))]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{quote(str(key).lower(), safe='')}", str(value)) for value in values or ()]
    return tuple(headers)
