"""What the language model is asked on behalf of a use case.

Each call leaves the node, so none belongs inside a transaction. What comes back is checked by `language`; that the
model says something never deletes anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

import trio

from aimem.errors import AimemError, Code, Unavailable
from aimem.language import (
    Passage,
    Prompt,
    contradiction_prompt,
    expansion_prompt,
    needs_llm,
    read_summary,
    read_tags,
    read_terms,
    read_verdict,
    summary_prompt,
    tags_prompt,
)
from aimem.model import Memory, Principal
from aimem.service.node import Node
from aimem.service.samples import Sample

log = logging.getLogger(__name__)
T = TypeVar("T")

BOUNDARY_BYTES: Final = 12
PROBE_EVERY_S: Final = 60.0
"""A model that went or came is noticed so late; a call that fails or succeeds tells at once."""

PROBE_AGAIN_S: Final = 15.0


def is_thinking(node: Node) -> bool:
    """Whether a language model answered when it was last asked (about a minute ago at most). Costs nothing."""
    return node.language is not None and node.language_state.is_reachable


async def summarise(node: Node, who: Principal, memories: Sequence[Memory]) -> str:
    """One paragraph of what these memories say, within the limits of a memory's text.

    Raises: Unavailable(needs_llm), Unavailable(llm_answer_unusable).
    """
    del who  # whoever hands in memories was allowed to read them; a quota per caller will need to know
    passages = [_passage(memory) for memory in memories]
    return await _ask(node, "summary", summary_prompt(passages, _boundary(node)), read_summary)


async def expand_query(node: Node, who: Principal, query: str) -> tuple[str, ...]:
    """At most 8 further words for a question. Raises: as `summarise`."""
    del who
    return await _ask(node, "expansion", expansion_prompt(query, _boundary(node)), read_terms)


async def suggest_tags(node: Node, who: Principal, memory: Memory) -> tuple[str, ...]:
    """At most 8 tags for a memory, lower case, each within the limits of a tag. Raises: as `summarise`."""
    del who
    return await _ask(node, "tags", tags_prompt(_passage(memory), _boundary(node)), read_tags)


async def judge_contradiction(node: Node, who: Principal, one: Memory, other: Memory) -> bool:
    """Whether the model says that two memories cannot both be true. Raises: as `summarise`."""
    del who
    prompt = contradiction_prompt(_passage(one), _passage(other), _boundary(node))
    return await _ask(node, "contradiction", prompt, read_verdict)


def _passage(memory: Memory) -> Passage:
    return Passage(title="" if memory.title_generated else memory.title, content=memory.content)


def _boundary(node: Node) -> str:
    return node.chance.token(BOUNDARY_BYTES).hex()


async def _ask(node: Node, purpose: str, prompt: Prompt, read: Callable[[str, Prompt], T]) -> T:
    if node.language is None:
        raise needs_llm("none is configured; set tier to smart or autonomous, and see ai-memory-config(5)")
    state, begun = node.language_state, trio.current_time()
    try:
        answer = read(await node.language.chat(prompt.system, prompt.user), prompt)
    except AimemError as error:
        state.count(purpose, "failed", trio.current_time() - begun)
        if error.code is Code.LLM_ANSWER_UNUSABLE:
            state.answered()
        else:
            _note_absence(node, error.message)
        raise
    state.count(purpose, "ok", trio.current_time() - begun)
    state.answered()
    return answer


async def run_language(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Look from time to time whether the language model is there, so that nobody who asks has to wait for that."""
    task_status.started()
    while node.language is not None:
        await look_for_language(node)
        await trio.sleep(PROBE_EVERY_S if node.language_state.is_reachable else PROBE_AGAIN_S)


async def look_for_language(node: Node) -> None:
    """Bring what is known of the model up to date."""
    if node.language is None:
        return
    try:
        is_there = await node.language.available()
    except Unavailable as error:
        _note_absence(node, error.message)
        return
    if is_there:
        if not node.language_state.is_reachable:
            log.info("language.reachable", extra={"model": node.language.name})
        node.language_state.answered()
    else:
        _note_absence(node, f"its server does not have {node.language.name}")


def _note_absence(node: Node, reason: str) -> None:
    if node.language is not None and reason != node.language_state.reason:
        log.warning("language.unreachable", extra={"model": node.language.name, "reason": reason})
    node.language_state.failed(reason)


def language_warnings(node: Node) -> tuple[str, ...]:
    """Sentences for health and capabilities: a model is configured and does not answer."""
    if node.language is None or node.language_state.is_worth_asking:
        return ()
    return (f"the language model {node.language.name} is not used: {node.language_state.reason}",)


def language_samples(node: Node) -> tuple[Sample, ...]:
    """Figures of the language model; none without one."""
    if node.language is None:
        return ()
    state = node.language_state
    waiting = node.hooks[0].statistics().current_buffer_used
    samples = [
        _sample("ai_memory_llm_reachable", "1 if the language model answered when it was last asked.", "gauge",
                state.is_reachable),
        _sample("ai_memory_llm_seconds", "Seconds that calls of the language model took.", "counter", state.seconds),
        _sample("ai_memory_autonomy_hook_queue", "New memories that wait for the language model.", "gauge", waiting),
        _sample("ai_memory_contradiction_detected", "Contradictions that the language model confirmed.", "counter",
                state.contradictions),
    ]
    samples += [
        _sample("ai_memory_llm_calls", "Calls of the language model.", "counter", count, purpose=purpose, result=result)
        for (purpose, result), count in sorted(state.calls.items())
    ]
    samples += [
        _sample("ai_memory_autonomy_hook", "What became of new memories.", "counter", count, kind=kind, result=result)
        for (kind, result), count in sorted(state.hooks.items())
    ]
    return tuple(samples)


def _sample(name: str, text: str, how: Literal["counter", "gauge"], value: float, **labels: str) -> Sample:
    return Sample(name=name, help=text, kind=how, value=float(value), labels=tuple(labels.items()))
