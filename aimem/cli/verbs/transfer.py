"""Verbs that carry memories in and out."""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs.table import Argument, Option, Verb

TRUST: Final = Option(
    flag="--trust-source", read=None,
    help="Keep the authors that the source names, and take registrations of agents and the system's own namespaces.")

IMPORT: Final = Verb(
    name="import", summary="take in exported memories", run="transfer:import_memories", begins=True,
    arguments=(Argument(name="file", count="?", is_file=True,
                        help="An export document, or JSON Lines of memories; standard input if left out."),),
    about="Sends the memories in batches and says on standard error which were refused and why; the others are kept. "
          "The importing agent becomes the author, and the original one is noted in metadata.imported_from_agent_id. "
          "A memory that is here is changed only by a later one; one that was deleted here stays deleted; one that "
          "expired since it was exported goes into the archive. After an interruption the same command goes on: what "
          "is stored already stays as it is.",
    options=(TRUST,
             Option(flag="--dry-run", read=None,
                    help="Only say what would happen. Links to memories that are not here yet count as refused."),
             Option(flag="--verify", read=None,
                    help="Afterwards compare the digest of all that is here with the file's, for an import into an "
                         "empty database with --trust-source; exit status 1 if they differ.")),
    prints='{"imported", "restamped", "trusted_source", "errors", "unchanged", "updated", "links_imported", '
           '"archived_imported", "aliases_imported", "agents_imported", "skipped", "dry_run"}',
    examples=(("Copy a whole database, and see that it is whole",
               "ai-memory export > all.json\nai-memory --db other.db import --trust-source --verify all.json"),),
)
EXPORT: Final = Verb(
    name="export", summary="print all memories as JSON", run="transfer:export",
    about="Prints live and archived memories, links with their times, other names of entities, and registered agents, "
          "as one JSON document with a row a line and a digest at its end. It is read and printed page by page: what "
          "is written meanwhile may be in it or not. Messages, embeddings and how often memories were used are not "
          "part of it.",
    options=(Option(flag="--digest-only", read=None,
                    help="Print only the digest: two databases that export the same have the same."),),
    prints='{"schema", "exported_at", "memories", "archived", "links", "aliases", "agents", "count", "digest"}, with '
           'or without --json; with --digest-only {"digest", "count"}',
    examples=(("Save all memories", "ai-memory export > memories.json"),),
)
