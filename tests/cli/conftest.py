"""A machine of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.fakes import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Folders of its own, no configuration."""
    root = tmp_path / "machine"
    root.mkdir()
    return Machine(root)
