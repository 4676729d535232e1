"""How much is simulated: a slice in the plain run; everything when this folder is named, as `.ci/run` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim import seeds

HERE = Path(__file__).parent
LONG = frozenset({"test_planted.py", "test_progress.py", "test_scale.py", "test_shrinking.py"})


def is_named(config: pytest.Config) -> bool:
    """Whether this folder, or something in it, is named on the command line."""
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args)
    return any(path.is_relative_to(HERE) for path in named)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Faults are planted, and large meshes timed, where there is time for it."""
    return True if collection_path.name in LONG and not is_named(config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests that ask for a case the cases of this run."""
    if "case" in metafunc.fixturenames:
        cases = [*seeds.corpus(), *seeds.full()] if is_named(metafunc.config) else seeds.brief()
        metafunc.parametrize("case", cases, ids=str)
