"""The console runs on asyncio, and so do its tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the console."""
    return "asyncio"
