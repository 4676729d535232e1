"""Forgetting by filters.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code, InvalidRequest
from aimem.wire import ForgetRequest, Forgotten


async def forget(call: Call[ForgetRequest, ForgetRequest | None]) -> Forgotten:
    """Forget what filters name. They may stand in the query, as a client of v0.6.3 sends them, or in the body."""
    return await service.forget(call.node, call.who, _joined(call.query, call.body), call.once)


def _joined(query: ForgetRequest, body: ForgetRequest | None) -> ForgetRequest:
    """The filters of both places: to pass over those of one would forget more than was named."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(ForgetRequest):
        given = {value for part in (query, body) if part and (value := getattr(part, field.name)) != field.default}
        if len(given) > 1:
            raise InvalidRequest(
                f"{field.name} is given in the query and otherwise in the body; give it once", field=field.name
            )
        for value in given:
            found[field.name] = value
    return msgspec.convert(found, ForgetRequest)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/forget", name="forget", handler=forget, query=ForgetRequest, body=ForgetRequest,
        body_required=False, answer=Forgotten, effect=Effect.WRITE_ONCE,
        summary="Archive all memories that filters name, at most 5,000 a request; name them only; or undo that.",
        errors=(Code.NOT_FOUND, Code.RESERVED_NAMESPACE),
    ),
)
