"""The console runs on asyncio, and so do its tests. How much of it is tried: as in tests/mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

HERE = Path(__file__).parent
LONG: Final = frozenset({
    "test_bad_ways.py", "test_editor.py", "test_live.py", "test_live_memories.py", "test_terminal.py",
})
"""With real daemons, or hundreds of texts."""


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the console."""
    return "asyncio"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A plain run leaves out what takes minutes."""
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args)
    is_named = any(path.is_relative_to(HERE) for path in named)
    return True if collection_path.name in LONG and not is_named else None
