"""The language model: how it is reached, what it is asked, and what of its answers is believed.

Owns the client of Ollama (words and vectors), the prompts and the readers of answers. Must never write, know a caller,
or believe an answer that was not checked: the texts in a prompt were written by anybody, so whatever comes back may be
anybody's wish.
"""

from aimem.language.answers import read_summary, read_tags, read_terms, read_verdict
from aimem.language.embedding import OllamaEmbedder, open_ollama_embedder
from aimem.language.model import LanguageModel, ModelState, needs_llm
from aimem.language.ollama import OllamaModel, missing_model
from aimem.language.prompts import (
    TEXTS_MAX_CHARS,
    Passage,
    Prompt,
    contradiction_prompt,
    expansion_prompt,
    summary_prompt,
    tags_prompt,
)

__all__ = [
    "TEXTS_MAX_CHARS",
    "LanguageModel",
    "ModelState",
    "OllamaEmbedder",
    "OllamaModel",
    "Passage",
    "Prompt",
    "contradiction_prompt",
    "expansion_prompt",
    "missing_model",
    "needs_llm",
    "open_ollama_embedder",
    "read_summary",
    "read_tags",
    "read_terms",
    "read_verdict",
    "summary_prompt",
    "tags_prompt",
]
