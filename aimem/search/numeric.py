"""numpy, loaded when a vector is first touched.

A node that finds by words alone spares a tenth of a second and 20 MB.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = ["np"]


class _Late:
    """Stands for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> object:
        # Kept on the object, so that each name comes by here once. Two threads at once do the same twice, no harm.
        value = getattr(importlib.import_module("numpy"), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import numpy as np
else:
    np = _Late()
