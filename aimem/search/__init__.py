"""Recall's machinery: query words, the embedding model, the vector index, fusion, scores.

Owns fastembed and numpy. Must never touch the database, know a caller or decide what a caller may see: it ranks the
rows that it is handed.
"""

from aimem.search.engine import Recaller, RecallMode
from aimem.search.fusion import ARM_LIMIT, DENSE_WEIGHT, Scored, fuse_scores, keep_firsts
from aimem.search.minilm import MODEL_DIMENSION, MODEL_SHA256, ModelUnavailable, open_minilm
from aimem.search.query import parse_query, stop_words
from aimem.search.scoring import fit_budget, importance, proximity, recency, token_cost
from aimem.search.vectors import VectorIndex, from_f16, to_f16

__all__ = [
    "ARM_LIMIT", "DENSE_WEIGHT", "MODEL_DIMENSION", "MODEL_SHA256", "ModelUnavailable", "RecallMode",
    "Recaller", "Scored", "VectorIndex", "fit_budget", "from_f16", "fuse_scores", "importance", "keep_firsts",
    "open_minilm", "parse_query", "proximity", "recency", "stop_words", "to_f16",
    "token_cost",
]
