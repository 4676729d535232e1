"""Requests that schemathesis makes up from the OpenAPI document, and what it says of the answers."""

from __future__ import annotations

import json
from typing import Final

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from aimem.api import Route
from tests.campaign.places import GOOD, GOOD_HERE
from tests.campaign.world import Answer, Asked

ORIGIN: Final = "http://localhost:9077"
CONFORMITY: Final = (
    checks.status_code_conformance, checks.content_type_conformance, checks.response_headers_conformance,
    checks.response_schema_conformance, checks.negative_data_rejection,
)
"""What the document promises of answers, and that what it does not allow is refused."""
ITEMS_ALONE: Final = frozenset({"remember_many"})
"""Routes that refuse an item which the document does not allow within an answer of success: the others go in."""

_OF_THE_CLIENT: Final = frozenset({"user-agent", "accept-encoding", "accept", "connection", "content-length"})


class Document:
    """The served document, as a source of requests and a judge of answers."""

    def __init__(self, text: bytes) -> None:
        self._schema = schemathesis.openapi.from_dict(json.loads(text))

    def cases(self, route: Route) -> st.SearchStrategy[Case]:
        """Requests of a route: as the document says, and otherwise; half of them name what is there."""
        operation = self._schema[route.path][route.method]
        known = {part[1:-1]: _known(route, part[1:-1]) for part in route.path.split("/") if part.startswith("{")}
        return st.one_of(
            operation.as_strategy(generation_mode=mode, path_parameters=fixed)
            for mode in GenerationMode for fixed in ([None, known] if known else [None])
        )


def _known(route: Route, name: str) -> str:
    return str(GOOD_HERE.get(route.name, {}).get(name, GOOD.get(name, "word")))


def asked(case: Case) -> Asked:
    """The request of a case, as bytes."""
    prepared = _prepared(case)
    target, _, query = (prepared.path_url or "/").partition("?")
    body = prepared.body or b""
    headers: list[tuple[bytes, bytes]] = [
        (_bytes(name).lower(), _bytes(value)) for name, value in prepared.headers.items()
        if str(name).lower() not in _OF_THE_CLIENT
    ]
    return Asked(
        method=str(prepared.method), path=target.encode(), query=query.encode(), headers=tuple(headers),
        body=body.encode() if isinstance(body, str) else body,
    )


def judge(route: Route, case: Case, answer: Answer) -> None:
    """Raises: FailureGroup if the answer is not what the document says."""
    headers: dict[str, list[str]] = {}
    for name, value in answer.headers:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    response = schemathesis.Response(
        status_code=answer.status, headers=headers, content=answer.body, request=_prepared(case), elapsed=0.0,
        verify=False,
    )
    excluded = [checks.negative_data_rejection] if route.name in ITEMS_ALONE else []
    case.validate_response(response, checks=list(CONFORMITY), excluded_checks=excluded)


def _prepared(case: Case) -> requests.PreparedRequest:
    return requests.Request(**case.as_transport_kwargs(base_url=ORIGIN)).prepare()


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
