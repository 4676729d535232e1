"""How long the mesh is tried: briefly in the plain run; for as long as was promised when this folder is named."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from msgspec import Struct

HERE = Path(__file__).parent
LONG: Final = frozenset({
    "test_certified.py", "test_growing.py", "test_manual.py", "test_years_away.py", "test_years_copies.py",
    "test_years_disks.py", "test_years_members.py", "test_years_snapshots.py", "test_years_versions.py",
})


class Scale(Struct, frozen=True, kw_only=True):
    """How many agents write for how long, and when what goes wrong, in seconds from their beginning."""

    agents: int
    writing_s: float
    killed_at_s: float
    restarted_at_s: float
    stopped_at_s: float
    stopped_s: float


BRIEF = Scale(agents=8, writing_s=12, killed_at_s=2, restarted_at_s=5, stopped_at_s=2, stopped_s=3)
FULL = Scale(agents=20, writing_s=60, killed_at_s=8, restarted_at_s=16, stopped_at_s=12, stopped_s=20)


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> Scale:
    return FULL if is_named(request.config) else BRIEF


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A plain run leaves out what takes minutes, however little is tried."""
    return True if collection_path.name in LONG and not is_named(config) else None


def is_named(config: pytest.Config) -> bool:
    """Whether this folder, or something in it, was named."""
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args)
    return any(path.is_relative_to(HERE) for path in named)
