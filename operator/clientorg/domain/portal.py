"""What a client's portal reads: menus shown and hidden, and links (FEATURES S14, W12; docs/portal.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from clientorg.api.orgplan import Portal
from clientorg.domain.substitution import substitute

if TYPE_CHECKING:
    from clientorg.domain.workspace import Org

Json = dict[str, Any]

PORTAL_SCHEMA_VERSION: Final = 1
PORTAL_KEY: Final = "portal.json"
"""In the ConfigMap `portal`. A version that readers of this one could not read gets a key of its own beside it."""


def portal_document(portal: Portal, org: Org) -> Json:
    """The document, as docs/portal.schema.json describes it."""
    return {
        "schemaVersion": PORTAL_SCHEMA_VERSION,
        "orgID": org.org_id,
        "displayName": org.display_name,
        "language": org.language,
        "menus": _menus(portal, org),
        "links": [
            {
                "name": link.name,
                "title": link.title or link.name,
                "url": substitute(link.url, org.url_variables),
                "audience": str(link.audience),
            }
            for link in portal.links
        ],
    }


def _menus(portal: Portal, org: Org) -> list[Json]:
    """The plan's menus in its order, then those that only the client has; what the client says counts."""
    shown: Mapping[str, bool] = {menu.name: menu.visible for menu in portal.menus}
    shown = {**shown, **{menu["name"]: menu.get("visible", True) for menu in org.menus}}
    return [{"name": name, "visible": visible} for name, visible in shown.items()]
