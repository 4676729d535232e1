"""A language model without a model: it says what the test wrote, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable

from aimem.errors import Unavailable
from aimem.language import needs_llm

Script = str | Exception | Callable[[str, str], str]


class ScriptedModel:
    """Answers in the order of the script, the last answer for ever; a function is called with (system, user).

    An exception in the script is raised. With `is_down` every call and the look whether it is there fail as they do
    when nobody listens; with `is_missing` its server does not have it.
    """

    name = "scripted:1"

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, str]] = []
        self.is_down = self.is_missing = False

    async def chat(self, system: str, user: str) -> str:
        self.asked.append((system, user))
        if self.is_down:
            raise _down()
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        return said(system, user) if callable(said) else said

    async def available(self) -> bool:
        if self.is_down:
            raise _down()
        return not self.is_missing


def _down() -> Unavailable:
    return needs_llm("Ollama cannot be reached (ConnectError); is it running?")
