"""Health scripts as Argo CD runs them: Lua 5.1 without `string`, `math`, `io` and `os`.

Source: Argo CD, util/lua/lua.go, `runLua`: only package, base and table are opened, and a safe part of os.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import lupa.lua51 as lua

_CLOSED: Final = ("string", "math", "io", "os", "debug", "coroutine", "python")
STATUSES: Final = ("Healthy", "Suspended", "Degraded", "Progressing", "Missing", "Unknown")


def health_of(script: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    """What the script returns for an object.

    Raises:
        LuaError: the script failed.
        ValueError: it returned what Argo CD does not take.
    """
    runtime = lua.LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    names = runtime.globals()
    for name in _CLOSED:
        names[name] = None
    names["obj"] = runtime.table_from(_plain(manifest), recursive=True)
    result = dict(runtime.execute(script).items())
    if result.get("status") not in STATUSES or not isinstance(result.get("message", ""), str):
        raise ValueError(f"not a health status: {result}")
    return result


def _plain(value: Any) -> Any:
    """Numbers as Argo CD hands them over: Lua knows no integers."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
