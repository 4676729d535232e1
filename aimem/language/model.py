"""What a language model is to the rest of the house, and what is known of the one that is configured."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct, field

from aimem.errors import Code, Unavailable


class LanguageModel(Protocol):
    """Answers prompts. What comes back is text that anybody may have shaped: it goes through `language.answers`."""

    @property
    def name(self) -> str:
        """As its server calls it: `gemma4:e2b`."""
        ...

    async def chat(self, system: str, user: str) -> str:
        """The answer to one prompt, as it came. Raises: Unavailable(needs_llm) if there is none."""
        ...

    async def available(self) -> bool:
        """Whether its server has it. Raises: Unavailable(needs_llm) if the server does not say."""
        ...


class ModelState(Struct):
    """What is known of the configured model; changed by the event loop's thread alone.

    Attributes:
      is_reachable: whether it answered when it was last asked, or asked for.
      reason: why it is not reachable, one sentence without addresses; empty if it is, or was not asked yet.
      calls: (what for, `ok` or `failed`) -> how often.
      seconds: that calls took, all together.
      hooks: (`auto_tag` or `contradiction`, `ok`, `failed` or `dropped`) -> new memories.
      contradictions: that the model confirmed.
    """

    is_reachable: bool = False
    reason: str = ""
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    seconds: float = 0.0
    hooks: dict[tuple[str, str], int] = field(default_factory=dict)
    contradictions: int = 0

    @property
    def is_worth_asking(self) -> bool:
        """Whether nothing speaks against asking: it is there, or nobody has looked yet."""
        return self.is_reachable or not self.reason

    def answered(self) -> None:
        """It is there."""
        self.is_reachable, self.reason = True, ""

    def failed(self, reason: str) -> None:
        """It is not there, or not in time."""
        self.is_reachable, self.reason = False, reason

    def count(self, purpose: str, result: str, seconds: float = 0.0) -> None:
        """Note a call, or what became of one."""
        self.calls[purpose, result] = self.calls.get((purpose, result), 0) + 1
        self.seconds += seconds

    def note_hook(self, kind: str, result: str) -> None:
        """Note what became of one step for a new memory."""
        self.hooks[kind, result] = self.hooks.get((kind, result), 0) + 1


def needs_llm(reason: str) -> Unavailable:
    """The error of whatever cannot be done without a language model. `reason`: one sentence, what to do included."""
    return Unavailable(f"this needs a language model, and {reason}", code=Code.NEEDS_LLM)
