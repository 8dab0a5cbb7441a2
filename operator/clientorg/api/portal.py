"""What a client's portal shows (FEATURES S14, W12)."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from clientorg.api.base import ApiModel, DnsLabel, list_map

MAX_MENUS: Final = 64


class Menu(ApiModel):
    """An entry of the portal's menu."""

    name: DnsLabel = Field(description="Name of the menu, as the portal knows it.")
    visible: bool = Field(default=True, description="Whether it is shown. Absent means true.")


class ClientPortal(ApiModel):
    """What this client's portal shows, where it is not what the plan says."""

    menus: Annotated[list[Menu], Field(max_length=MAX_MENUS, json_schema_extra=list_map("name"))] = Field(
        default=[],
        description="Menus shown or hidden for this client. One that is not listed is as the plan says; one that the "
        "plan does not list comes after those of the plan. Absent means as the plan says.",
    )
