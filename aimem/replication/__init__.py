"""Replication: how ops merge, and (with the mesh) how they travel, are counted and caught up.

Owns the fold and everything that decides what an op means for a node. Must never touch a connection: the store is
handed these functions.
"""

from aimem.replication.intake import CLOCK_BOUND_S, CLOCK_WARN_S, examine, is_ahead
from aimem.replication.merge import merge_entry

__all__ = ["CLOCK_BOUND_S", "CLOCK_WARN_S", "examine", "is_ahead", "merge_entry"]
