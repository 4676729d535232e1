"""Recall's machinery: query words, the embedding model, the vector index, fusion, scores.

Owns fastembed and numpy. Must never touch the database, know a caller or decide what a caller may see: it ranks the
rows that it is handed.
"""

from aimem.search.query import ParsedQuery, match_all, match_any, parse_query, stop_words

__all__ = ["ParsedQuery", "match_all", "match_any", "parse_query", "stop_words"]
