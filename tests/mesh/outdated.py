"""A daemon of ours that is one version older: `python -m tests.mesh.outdated serve ...`. See tests/older.py."""

from __future__ import annotations

import sys

from aimem.__main__ import carry_out
from tests.older import older_nodes

if __name__ == "__main__":
    with older_nodes(lambda: True):
        carry_out(sys.argv[1:])
