"""How thorough the campaign is: brief in the plain run, full when its folder is named, as `.ci/run` does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from aimem.service import following, words
from tests.campaign.plan import SEED, Thoroughness, examples_of
from tests.campaign.world import World, open_world

HERE = Path(__file__).parent
LONG = frozenset({"test_bytes.py", "test_texts.py"})
"""What takes half of the time, however brief it is, and which a plain run leaves out."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A plain run has its time for the rest of the tests, too."""
    return True if collection_path.name in LONG and thoroughness_of(config) is Thoroughness.BRIEF else None


def thoroughness_of(config: pytest.Config) -> Thoroughness:
    """Full if this folder, or something in it, is named on the command line."""
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args)
    return Thoroughness.FULL if any(path.is_relative_to(HERE) for path in named) else Thoroughness.BRIEF


def seed_of(config: pytest.Config) -> int:
    """`--hypothesis-seed`, which begins another campaign; else always the same."""
    given = config.getoption("--hypothesis-seed", default=None)
    return SEED if given in (None, "random") else int(given)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the tests of this folder their number of examples and the seed, and say both."""
    ours = [item for item in items if isinstance(item, pytest.Function) and item.path.is_relative_to(HERE)]
    thoroughness, seed = thoroughness_of(config), seed_of(config)
    for test in {item.function for item in ours}:
        count = examples_of(test, thoroughness)
        if count is not None:
            hypothesis.settings(
                max_examples=count, deadline=None, database=None, print_blob=True,
                suppress_health_check=list(hypothesis.HealthCheck),
                # A failing example is not made smaller: it changed the node, which would answer the next otherwise.
                phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            )(test)
            hypothesis.seed(seed)(test)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if ours and reporter is not None:
        reporter.write_line(f"campaign: {thoroughness}; --hypothesis-seed={seed} repeats it, another number varies it")


@pytest.fixture
def thoroughness(request: pytest.FixtureRequest) -> Thoroughness:
    return thoroughness_of(request.config)


@pytest.fixture(autouse=True)
def nothing_gathers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a commit follows it at once: else it would be taken for the work of the request after it."""
    for module in (words, following):
        monkeypatch.setattr(module, "GATHER_S", 0.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path / "memory.db") as world:
        yield world
