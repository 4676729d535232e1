"""Verbs that carry memories in and out."""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs.table import Argument, Option, Verb

IMPORT: Final = Verb(
    name="import", summary="take in exported memories", run="transfer:import_memories", begins=True,
    arguments=(Argument(name="file", count="?", is_file=True,
                        help="An export document, or JSON Lines of memories; standard input if left out."),),
    about="Sends the memories in batches and says on standard error which were refused and why; the others are kept. "
          "The importing agent becomes the author, and the original one is noted in metadata.imported_from_agent_id. "
          "After an interruption the same command goes on: what is stored already stays as it is.",
    options=(Option(flag="--trust-source", read=None, help="Keep the authors that the file names."),),
    prints='{"imported", "restamped", "trusted_source", "errors", "unchanged", "links_imported"}',
    examples=(("Copy all memories to another database",
               "ai-memory export > memories.json\nai-memory --db other.db import --trust-source memories.json"),),
)
EXPORT: Final = Verb(
    name="export", summary="print all memories as JSON", run="transfer:export",
    about="Prints live memories in order of creation, and their links.",
    prints='{"memories", "links", "count", "exported_at"}, with or without --json',
    examples=(("Save all memories", "ai-memory export > memories.json"),),
)
