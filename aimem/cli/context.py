"""What a command's function is handed: its arguments, its settings, its output and the way to a node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar  # Any: the values of options have the types that the table gives them

from aimem.cli.identity import writer_id
from aimem.cli.parser import Parsed
from aimem.cli.runtime import Attached, Purpose, Runtime
from aimem.cli.screen import Screen
from aimem.cli.surroundings import Surroundings
from aimem.config import NO_PEERS_NOTICE, Config

if TYPE_CHECKING:
    from aimem.client import Client

T = TypeVar("T")


class Context:
    """One command line being carried out."""

    def __init__(
        self, parsed: Parsed, config: Config, runtime: Runtime, around: Surroundings, reread: Callable[[], Config]
    ) -> None:
        self.parsed = parsed
        self.config = config
        self.reread = reread
        self.runtime = runtime
        self.around = around
        self.screen = Screen(around)

    @property
    def wants_json(self) -> bool:
        """Whether data is to be printed as JSON."""
        return self.parsed.wants_json

    def value(self, name: str) -> Any:
        """The value of an option or argument of this verb."""
        return self.parsed.values[name]

    def agent_id(self) -> str | None:
        """The configured agent, or a new generated one; None where a key alone says who this is."""
        return self.agent_of(self.config)

    def agent_of(self, config: Config) -> str | None:
        """The same by other settings."""
        around, identity = self.around, config.identity
        if identity.agent_key is not None and identity.agent_id is None:
            return None
        return writer_id(identity, host=around.host, pid=around.pid, rng=around.rng())

    def path(self, text: str) -> Path:
        """A path that an argument names: `~` and `~/x` are the home folder, a relative one starts in this folder."""
        around = self.around
        return around.home / text[2:] if text == "~" or text.startswith("~/") else around.cwd / text

    def ask(self, question: Callable[[Client], Awaitable[T]], purpose: Purpose = Purpose.COMMAND) -> T:
        """Ask the node one question, as the configured or a generated agent. Raises: AimemError, or a group of it."""
        return self.visit(lambda attached, client: question(client), purpose)

    def visit(self, act: Callable[[Attached, Client], Awaitable[T]], purpose: Purpose = Purpose.COMMAND) -> T:
        """The same for what needs to know how the node is attached."""
        agent_id = self.agent_id()

        async def session() -> T:
            async with self.runtime.open_client(self.config, purpose) as attached:
                client = attached.client.for_agent(agent_id)
                answer = await act(attached, client)
                if attached.holder and client.write_count:
                    self._say_alone()
                return answer

        return self.runtime.run(session)

    def _say_alone(self) -> None:
        """Tell whoever wrote without a daemon that this node alone has it, though the settings ask for more."""
        if NO_PEERS_NOTICE in self.config.notices and not self.config.mesh.peers:
            self.screen.say(f"note: {NO_PEERS_NOTICE}")

    def say_notices(self) -> None:
        """Tell the operator which settings have no effect."""
        for notice in self.config.notices:
            self.screen.say(f"note: {notice}")
