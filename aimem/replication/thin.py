"""Exchanges without what both sides know the same: in a mesh at rest that is all of their vectors, which grow with it.

An answer is bound to its request by its signature, so that what it leaves out can only mean what that request said.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from aimem.wire import ExchangeAnswer, ExchangeRequest

PROTOCOL_THIN: Final = 3
"""The first version whose speakers understand this."""


def thin_request(request: ExchangeRequest) -> ExchangeRequest:
    """As it travels to whoever understands it: of `assumed` what the asker's own vector does not say."""
    if request.protocol < PROTOCOL_THIN:
        return request
    own = {stream: head.seq for stream, head in request.vector.items()}
    assumed = {stream: request.assumed.get(stream, 0) for stream in own.keys() | request.assumed.keys()}
    said = {stream: seq for stream, seq in sorted(assumed.items()) if seq != own.get(stream)}
    return replace(request, assumed=said, thin=True)


def whole_request(request: ExchangeRequest) -> ExchangeRequest:
    """As it was before it became thin."""
    if not request.thin:
        return request
    own = {stream: head.seq for stream, head in request.vector.items()}
    return replace(request, assumed={**own, **request.assumed}, thin=False)


def thin_answer(answer: ExchangeAnswer, asked: ExchangeRequest) -> ExchangeAnswer:
    """As it travels to whoever asked so: of the vector what the request's does not say."""
    if not asked.thin:
        return answer
    said = {stream: head for stream, head in answer.vector.items() if head != asked.vector.get(stream)}
    lacks = tuple(stream for stream in asked.vector if stream not in answer.vector)
    return replace(answer, vector=said, lacks=lacks, thin=True)


def whole_answer(answer: ExchangeAnswer, asked: ExchangeRequest) -> ExchangeAnswer:
    """As it was before it became thin, by the request as it was then."""
    if not answer.thin or asked.protocol < PROTOCOL_THIN:
        return answer
    vector = {stream: head for stream, head in asked.vector.items() if stream not in frozenset(answer.lacks)}
    return replace(answer, vector={**vector, **answer.vector}, lacks=(), thin=False)
