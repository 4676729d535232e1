"""Recall's machinery: query words, the embedding model, the vector index, fusion, scores.

Owns fastembed, annoy and numpy, and the folder of index files beside the database. Must never touch the database
itself, know a caller or decide what a caller may see: it ranks the rows that it is handed.
"""

from aimem.search.engine import Recaller, RecallMode
from aimem.search.fusion import ARM_LIMIT, DENSE_WEIGHT, Scored, fuse_scores, keep_firsts
from aimem.search.halves import from_f16, to_f16
from aimem.search.keeper import IndexNotKept
from aimem.search.minilm import MODEL_DIMENSION, MODEL_SHA256, ModelUnavailable, open_minilm
from aimem.search.query import ParsedQuery, match_all, match_any, parse_query, stop_words
from aimem.search.scoring import fit_budget, importance, proximity, recency, token_cost
from aimem.search.segment import Bounds
from aimem.search.tail import Held
from aimem.search.vectors import Differences, VectorIndex, WrongVectors, hold_floats, hold_halves

__all__ = [
    "ARM_LIMIT", "DENSE_WEIGHT", "MODEL_DIMENSION", "MODEL_SHA256", "Bounds", "Differences", "Held", "IndexNotKept",
    "ModelUnavailable", "ParsedQuery", "RecallMode", "Recaller", "Scored", "VectorIndex", "WrongVectors", "fit_budget",
    "from_f16", "fuse_scores", "hold_floats", "hold_halves", "importance", "keep_firsts", "match_all", "match_any",
    "open_minilm", "parse_query", "proximity", "recency", "stop_words", "to_f16", "token_cost",
]
