"""From what the model said to what may be used: checked, bounded, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.language.prompts import Prompt
from aimem.model import rules

SUMMARY_MAX_BYTES: Final = 4_096
TERMS_MAX_COUNT: Final = 8
TAGS_MAX_COUNT: Final = 8
TAG_MAX_WORDS: Final = 4
LINES_MAX_COUNT: Final = 64
"""Of a list so many lines are read: a million empty ones would hold everybody up for seconds."""

_THOUGHT: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""Some models think aloud first."""

_BULLET: Final = re.compile(r"^\s*(?:[-*•–#]+|\d{1,2}[.)])\s*")
_VERDICT: Final = re.compile(r"\W*(yes|no)\b(?:\W*$|[.,:;!]\s|\s*\n|\s+[-–—]\s)", re.IGNORECASE)
_QUOTES: Final = " \t\"'`*_.,;:"


def read_summary(answer: str, prompt: Prompt) -> str:
    """One paragraph within the limits of a memory's text; a longer one is cut after a word.

    Raises: Unavailable(llm_answer_unusable).
    """
    text = _plain(answer, prompt)
    try:
        return rules.content(_cut(text, SUMMARY_MAX_BYTES))
    except InvalidRequest as error:
        raise _unusable(error.message) from None


def read_terms(answer: str, prompt: Prompt) -> tuple[str, ...]:
    """Words or phrases, one per line, at most 8, each within the limits of a tag.

    Raises: Unavailable(llm_answer_unusable) if there is none.
    """
    return _listed(_plain(answer, prompt), TERMS_MAX_COUNT, rules.tag, "no line of it is a search word")


def read_tags(answer: str, prompt: Prompt) -> tuple[str, ...]:
    """Tags, lower case, at most 8; what is no tag (too long, a sentence) is left out.

    Raises: Unavailable(llm_answer_unusable) if none is left.
    """
    return _listed(_plain(answer, prompt), TAGS_MAX_COUNT, _tag, "no line of it is a tag")


def read_verdict(answer: str, prompt: Prompt) -> bool:
    """Yes or no; a reason after it is passed over. Raises: Unavailable(llm_answer_unusable) for anything else."""
    found = _VERDICT.match(_plain(answer, prompt))
    if found is None:
        raise _unusable("it is neither yes nor no")
    return found.group(1).lower() == "yes"


def _plain(answer: str, prompt: Prompt) -> str:
    text = _THOUGHT.sub("", answer).strip()
    if prompt.boundary in text:
        raise _unusable("it repeats the data instead of answering")
    return text


def _listed(text: str, max_count: int, check: Callable[[str], str], problem: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(_fitting(text, check)))[:max_count]
    if not found:
        raise _unusable(problem)
    return found


def _fitting(text: str, check: Callable[[str], str]) -> Iterator[str]:
    lines = text.splitlines()
    for line in (lines if len(lines) > 1 else text.split(","))[:LINES_MAX_COUNT]:
        try:
            yield check(_BULLET.sub("", line).strip(_QUOTES))
        except InvalidRequest:
            continue


def _tag(text: str) -> str:
    if len(text.split()) > TAG_MAX_WORDS:
        raise InvalidRequest("a sentence is no tag")
    return rules.tag(text.lower())


def _cut(text: str, max_bytes: int) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return text
    kept = data[:max_bytes].decode("utf-8", "ignore")
    return kept.rsplit(None, 1)[0] if len(kept.split()) > 1 else kept


def _unusable(problem: str) -> Unavailable:
    return Unavailable(
        f"the language model's answer cannot be used: {problem}; try again, or another model",
        code=Code.LLM_ANSWER_UNUSABLE,
    )
