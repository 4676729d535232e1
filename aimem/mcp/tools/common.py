"""Arguments that several tools share.

Types, enums and the bounds of v0.6.3's schema stand here; grammars and lengths are `model.rules`'s, which every door
shares. A default of None means "not given", so that the service's own default counts; where v0.6.3 documents that
default, the schema names it.
"""

from __future__ import annotations

from typing import Annotated, Any  # Any: a JSON object's values, which msgspec's schema wants to see as Any

from msgspec import Meta, Struct

from aimem.mcp.toon import PREVIEW_CHARS, Format
from aimem.model import Tier, rules

COUNT_MAX = 2**31
JsonObject = dict[str, Any]
Id = Annotated[str, Meta(description="Id of the memory.")]
IdOrPrefix = Annotated[
    str, Meta(description="Id of the memory, or at least its first 4 characters if they are unique.")
]
Namespace = Annotated[str | None, Meta(description="Only this namespace.")]
AsAgent = Annotated[
    str | None, Meta(description="Namespace path of an agent: show only what that agent would be allowed to see.")
]
Author = Annotated[str | None, Meta(description="Only memories of this author.")]
OnlyTier = Annotated[Tier | None, Meta(description="Only this tier.")]
AnswerFormat = Annotated[
    Format,
    Meta(description=f"Form of the answer: a compact table with the first {PREVIEW_CHARS} characters of each text "
         "(toon_compact), a table with all columns and whole texts (toon), or json."),
]
Priority = Annotated[int, Meta(ge=rules.PRIORITY_RANGE.start, le=rules.PRIORITY_RANGE.stop - 1)]
Confidence = Annotated[float, Meta(ge=0, le=1)]
Tags = Annotated[list[str], Meta(description="Words to group by.")]
Metadata = Annotated[JsonObject, Meta(description="Any JSON object to keep beside the text.")]
Budget = Annotated[int, Meta(ge=1, le=COUNT_MAX)]
PageLimit = Annotated[int, Meta(ge=0, le=200, description="How many at most.")]


def documented(default: object) -> Meta:
    """The default that the schema names."""
    return Meta(extra_json_schema={"default": default})


class NoParams(Struct, kw_only=True, frozen=True):
    """Arguments of a tool that takes none."""
