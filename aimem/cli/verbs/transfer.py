"""Verbs that carry memories in and out."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.common import TIERS
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
           '"archived_imported", "aliases_imported", "agents_imported", "namespaces_imported", "skipped", "dry_run"}',
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
MINE: Final = Verb(
    name="mine", summary="take in exported conversations", run="mining:mine", begins=True,
    about="Takes in the conversations of an export of Claude, ChatGPT or Slack. Each becomes one memory with the lines "
          "[role]: text, tagged mine-FORMAT and dated as the conversation is; one that is longer than 64 KiB becomes "
          "several, which share metadata.conversation_id and count up metadata.part. Nothing is cut off. Of a tree of "
          "answers the branch counts that was open last. Mining the same export again adds nothing, and mining a newer "
          "one adds what is new: a conversation is known by its id, not by its title. A memory of it that was deleted "
          "stays deleted.",
    arguments=(Argument(name="path", is_file=True,
                        help="The export: a file (JSON or JSON Lines), its folder, or the zip as it was delivered."),),
    options=(Option(flag="--format", short="-f", choices=("claude", "chatgpt", "slack"), required=True,
                    help="Whose export it is."),
             Option(flag="--namespace", short="-n", default_text="FORMAT-export", help="Where the memories belong."),
             Option(flag="--tier", short="-t", choices=TIERS, default="mid",
                    help="How long they are meant to live, counted from now."),
             Option(flag="--min-messages", read=integer, default=3, help="Leave shorter conversations out."),
             Option(flag="--per-turn", read=None,
                    help="Make each message a memory of its own, with metadata.role and metadata.turn: recall then "
                         "answers with what was said, not with whole conversations."),
             Option(flag="--dry-run", read=None, help="Only say what would be taken in.")),
    prints='{"imported", "skipped", "errors", "total_conversations", "namespace", "tier", "updated", "unchanged", '
           '"deleted_before", "refused"}, with --dry-run also {"dry_run", "filtered", "would_import", "memories"}; '
           "skipped are those too short, memories the first 1,000",
    examples=(("See what a ChatGPT export holds, then take it in for good",
               "ai-memory mine --format chatgpt --dry-run export.zip\nai-memory mine -f chatgpt -t long export.zip"),),
)
SYNC: Final = Verb(
    name="sync", summary="exchange memories with another database", run="syncing:sync", begins=True,
    about="Carries memories, archive, links and other names of entities between this database and another file of "
          "this machine, which may be in use. Of a memory that both have (by its id, or else its title and namespace), "
          "the one that was changed later wins, whatever the direction. What was deleted at the receiving end stays "
          "deleted; deletions themselves are not carried. Pulled memories get this agent as author, and the original "
          "one is noted in metadata.imported_from_agent_id; pushed ones keep theirs.",
    arguments=(Argument(name="file", is_file=True, help="The other database."),),
    options=(Option(flag="--direction", short="-d", choices=("merge", "pull", "push"), default="merge",
                    help="pull brings what the other has, push gives what is here, merge does both in this order."),
             TRUST, Option(flag="--dry-run", read=None, help="Only say what would happen.")),
    prints='{"direction"} with {"imported"} for pull, {"exported"} for push, {"pulled", "pushed"} for merge, and with '
           '--dry-run {"dry_run"} instead; then for each direction "pull", "push": {"new", "update", "noop", "links", '
           '"archived", "deleted_there", "refused"}',
    examples=(("Bring two databases together",
               "ai-memory --db other.db store -n demo -c \"Tests run on Mondays.\"\nai-memory sync other.db"),),
)
