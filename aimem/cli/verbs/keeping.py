"""Verbs that keep a database safe."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.table import Argument, Option, Verb
from aimem.wire import keeping

BACKUP: Final = Verb(
    name="backup", summary="back up the database, also while its node serves", run="keeping:back_up",
    about="Writes the database as it is at one moment to ai-memory-TIME.db in a folder, opens and checks the copy as "
          "ai-memory verify does, and has it synced to the disk; it has that name once ai-memory-TIME.manifest.json "
          "with its SHA-256 is there, without which it counts for nothing. The node goes on serving; only its "
          "write-ahead log grows meanwhile. Then backups of this database are removed, from the oldest, that are older "
          "than as many whole ones as are to be kept. Those are read again, so one that was damaged since does not "
          "count, and is said. A database that is damaged is not backed up, and nothing is removed then. The node's "
          "key (DB.node) is in no backup. A folder on the database's own disk is lost with it, and each node of a mesh "
          "needs one of its own: see ai-memory-service(7), BACKUPS.",
    options=(
        Option(flag="--to", default="./backups", placeholder="folder",
               help="The folder, which is made if only its last part is not there."),
        Option(flag="--keep", read=integer, default=keeping.KEEP_COUNT,
               help="How many whole backups of this database to keep there, 0 for all."),
    ),
    prints='{"path", "snapshot", "sha256", "bytes", "source_db", "version", "created_at", "schema", "memories", '
           '"digest", "removed", "warnings"}',
    examples=(("Keep those of two days, if this runs every hour", "ai-memory backup --to backups --keep 48"),),
)
RESTORE: Final = Verb(
    name="restore", summary="put a backup in the place of the database", run="keeping:restore", begins=True,
    about="Refuses while a process holds the database: stop the daemon first. The backup is copied beside the "
          "database, compared with its manifest, opened, checked and synced before anything is changed. Then the old "
          "database with its write-ahead log moves to STEM.pre-restore-TIME.db, and the new one takes its place. If "
          "that is cut off, the next command or daemon that takes the database ends it: there is the old one or the "
          "new one, never a mixture. Database and key stay their owner's, also where root restores. The node takes a "
          "new key at its next start, and fetches from its peers what it wrote since the backup: see "
          "ai-memory-mesh(7), Copies and restores; and for a node that is lost ai-memory-service(7).",
    options=(
        Option(flag="--from", dest="source", required=True, is_file=True, placeholder="path",
               help="A backup, or a folder of which the newest whole one is taken."),
        Option(flag="--skip-verify", read=None,
               help="Take a file without its manifest, such as what an earlier restore kept; it still has to be a "
                    "sound database. If there is a manifest and it says otherwise, that is warned of."),
    ),
    prints='{"status": "restored", "from", "to", "kept", "memories", "warnings"}',
    examples=(("Go back to the newest backup, while no daemon runs",
               "ai-memory backup --to backups\nai-memory restore --from backups"),),
)
VERIFY: Final = Verb(
    name="verify", summary="look whether the database or backups are sound", run="keeping:verify",
    about="Reads all of the database at one moment, also while its node serves: SQLite's structures and its full-text "
          "indexes, whether names, words and vectors belong to the memories, whether the op log of each node is one "
          "chain that its key signed, and the audit's chain. Of a backup its manifest is checked, too. The digest is "
          "that of the replicated state: two nodes that know the same have the same. Exits with 1 if anything is "
          "wrong. An index of words that is wrong is made anew by ai-memory reindex; what else is wrong needs a "
          "backup.",
    arguments=(Argument(name="file", count="*", is_file=True,
                        help="Backups, or folders of them; without one, the database."),),
    prints='{"sound", "databases": [{"path", "sound", "checks": [{"check", "count", "findings"}], "schema", '
           '"memories", "digest"}]}',
    examples=(("Look at the database", "ai-memory verify"),
              ("Look at all backups", "ai-memory backup --to backups\nai-memory verify backups")),
)
