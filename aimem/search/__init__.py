"""Recall's machinery: query words, the embedding model, the vector index, fusion, scores.

Owns fastembed, annoy and numpy, and the folder of index files beside the database. Must never touch the database
itself, know a caller or decide what a caller may see: it ranks the rows that it is handed.
"""

from aimem.search import tuning
from aimem.search.clustered import ClusteredEmbedder
from aimem.search.engine import Recaller, RecallMode
from aimem.search.fusion import Fused, fuse_scores, keep_firsts, places
from aimem.search.halves import from_f16, to_f16
from aimem.search.keeper import IndexNotKept
from aimem.search.minilm import MODEL_DIMENSION, MODEL_SHA256, ModelUnavailable, open_minilm
from aimem.search.moments import Period, moments_in, nearness
from aimem.search.query import parse_query, stop_words
from aimem.search.ranking import Evidence, Move, Ranked, Wish, newer_first, rank
from aimem.search.relevance import below_floor, is_senseless, share_held
from aimem.search.scoring import (
    Boosts,
    asks_of_assistant,
    boosts,
    fit_budget,
    is_user_turn,
    proximity,
    recency,
    token_cost,
)
from aimem.search.segment import Bounds
from aimem.search.tail import Held
from aimem.search.vectors import Differences, VectorIndex, WrongVectors, check_units, hold_floats, hold_halves

__all__ = [
    "MODEL_DIMENSION",
    "MODEL_SHA256",
    "Boosts",
    "Bounds",
    "ClusteredEmbedder",
    "Differences",
    "Evidence",
    "Fused",
    "Held",
    "IndexNotKept",
    "ModelUnavailable",
    "Move",
    "Period",
    "Ranked",
    "RecallMode",
    "Recaller",
    "VectorIndex",
    "Wish",
    "WrongVectors",
    "asks_of_assistant",
    "below_floor",
    "boosts",
    "check_units",
    "fit_budget",
    "from_f16",
    "fuse_scores",
    "hold_floats",
    "hold_halves",
    "is_senseless",
    "is_user_turn",
    "keep_firsts",
    "moments_in",
    "nearness",
    "newer_first",
    "open_minilm",
    "parse_query",
    "places",
    "proximity",
    "rank",
    "recency",
    "share_held",
    "stop_words",
    "to_f16",
    "token_cost",
    "tuning",
]
