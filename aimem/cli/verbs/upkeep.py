"""Verbs that look after the whole."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer, integers, number
from aimem.cli.verbs.common import ID, NAMESPACE, NEW_ID, WHOLE, limit
from aimem.cli.verbs.table import Argument, Option, Verb

STATS: Final = Verb(
    name="stats", summary="count memories", run="upkeep:stats", prints="the counts, by tier and namespace",
    examples=(("Count", "ai-memory stats"),),
)
NAMESPACES: Final = Verb(
    name="namespaces", summary="list namespaces", run="upkeep:namespaces",
    prints='{"namespaces": [{"namespace", "count"}]}', examples=(("List namespaces", "ai-memory namespaces"),),
)
GC: Final = Verb(
    name="gc", summary="collect expired memories", run="upkeep:collect",
    about="Archives (or deletes, see archive_on_gc in ai-memory-config(5)) what has expired. A daemon does so itself. "
          "In the JSON, collected is how many have expired, and expired_deleted how many of them were taken away now: "
          "the same number, or 0 with --dry-run.",
    options=(Option(flag="--dry-run", read=None, help="Only count them."),),
    prints='{"expired_deleted", "collected", "dry_run"}', examples=(("Count what would go", "ai-memory gc --dry-run"),),
)
ARCHIVE: Final = Verb(
    name="archive", summary="look after archived memories",
    children=(
        Verb(name="add", summary="take memories out of sight", run="archive:add",
             arguments=(Argument(name="id", count="+", help=f"The memories: of each {WHOLE}."),),
             options=(Option(flag="--reason", default="archive", help="Why, in at most 128 characters."),),
             prints='{"archived", "missing", "count", "reason", "version"?, "warning"?}'),
        Verb(name="list", summary="list archived memories, newest first", run="archive:list_archive",
             options=(NAMESPACE, limit(50), Option(flag="--offset", read=integer, default=0, help="Skip so many.")),
             prints='{"archived", "count"}'),
        Verb(name="restore", summary="bring an archived memory back", run="archive:restore", arguments=(ID,),
             options=(Option(flag="--mode", choices=("keep", "long"), default="keep",
                             help="keep its tier and expiry, or make it long-lived, as v0.6.3 did."),),
             prints='{"restored", "id", "tier", "expires_at"?, "version"}'),
        Verb(name="purge", summary="delete archived memories for ever", run="archive:purge",
             options=(Option(flag="--older-than-days", read=integer, help="Those archived more than so many days ago."),
                      Option(flag="--all", read=None, help="All of them.")),
             prints='{"purged"}'),
        Verb(name="stats", summary="count archived memories", run="archive:stats",
             prints='{"archived_total", "by_namespace"}'),
    ),
    examples=(("Put a memory away and bring it back",
               f'{NEW_ID}\nai-memory archive add "$id"\nai-memory archive restore "$id"'),
              ("Forget what has lain there for a year", "ai-memory archive purge --older-than-days 365")),
)
REINDEX: Final = Verb(
    name="reindex", summary="make the search indexes anew", run="upkeep:reindex",
    about="Drops the indexes of words and vectors and makes them anew from what the database holds, and waits until "
          "that is done. The old vector index goes on answering meanwhile; by words, searches find less. A damaged "
          "vector index is found and made anew without this.",
    options=(Option(flag="--what", choices=("vectors", "text", "all"), default="all", help="Which of them."),
             Option(flag="--embeddings", read=None,
                    help="Drop the embeddings too and have the model make them again; until then words answer."),),
    prints="the state of the index, as GET /api/v1/index",
    examples=(
        ("Make the index anew", "ai-memory reindex"), ("Embed everything again", "ai-memory reindex --embeddings"),
    ),
)
STATUS: Final = Verb(
    name="status", summary="show how the node is", run="upkeep:status",
    about="Shows the node, the database and who holds it, how recall works, and whom the node hears. The tier is what "
          "recall may use; the mode is what it does: hybrid, by words and meaning, or keyword, by words alone because "
          "the tier says so or the model cannot be loaded. Without a running daemon the command does not load the "
          "model just to say so. Embeddings are counted in memories. Who holds the database and answers nothing for 15 "
          "seconds is named, with its process and socket, and the exit status is 7; so it is with every verb that only "
          "reads.",
    prints="the node's health, its index, and who holds the database", examples=(("Look", "ai-memory status"),),
)
BENCH: Final = Verb(
    name="bench", summary="measure this program on this machine", run="benching:bench", begins=True,
    about="Times store, search, recall, graph queries and timelines on databases in a temporary folder (not on yours), "
          "stores a second by one caller and by 64, whole commands, and the memory of a daemon. The vectors of the "
          "timed recalls are made up, so that embedding a question costs nothing; that is timed apart, if the model is "
          "installed. Exits with 1 if a 95th percentile or a process's memory is more than 10 % over its target, or a "
          "percentile regressed.",
    options=(Option(flag="--iterations", read=integer, default=200, help="Timed calls an operation, 1 to 100000."),
             Option(flag="--warmup", read=integer, default=20, help="Calls before those, 0 to 10000."),
             Option(flag="--rows", read=integer, default=10_000,
                    help="Memories that the large recall goes over, 1 to 2000000. Storing 100000 takes minutes."),
             Option(flag="--baseline", is_file=True, help="A file with an earlier report (--json) to compare with."),
             Option(flag="--regression-threshold", read=number, default=10.0,
                    help="Percent by which a 95th percentile may grow over the baseline's."),
             Option(flag="--history", is_file=True, help="A file to append the results to, as a line of JSON.")),
    prints='{"iterations", "warmup", "results", "regressions", "rows", "rates", "sizes", "notes"}',
    children=(
        Verb(name="mesh", summary="measure a mesh of four nodes on this machine", run="benching:bench_mesh",
             begins=True,
             about="Starts daemons on loopback, in a temporary folder, and times writes of growing numbers of writers "
                   "through one of them, as their callers see it. First three nodes, two of which have to acknowledge: "
                   "one writer and 64, bulk stores, and how fast a node catches up that was away. The goals are for "
                   "two cores that have nothing else to do; one that is missed is shown and is no failure. Then four "
                   "nodes, two, three and all of which acknowledge: with the embedder on and off, with the disk as it "
                   "is and with one whose syncs are slower. With the defaults this takes about six minutes, of which "
                   "most is the number of figures times --seconds; the estimate is shown before it begins. With "
                   "--nodes meshes of so many nodes are measured instead: what a write takes, in time, messages and "
                   "bytes between nodes and processor time of all daemons; where these share few cores, that is what "
                   "the latency shows; with --json that is seconds, tls, cores, memory_mb, rows and notes.",
             options=(Option(flag="--nodes", read=integers,
                             help="Meshes of so many nodes each, 2 to 64, divided by commas: 4,8,16. One that the "
                                  "machine has no memory for is left out, and said."),
                      Option(flag="--seconds", read=integer, default_text="5",
                             help="How long each figure is measured, 1 to 600."),
                      Option(flag="--writers", read=integer, repeats=True,
                             help="So many writers; several times for several (default: 1, 16, 64 and 256)."),
                      Option(flag="--embedder", choices=("keyword", "semantic", "both"), default_text="both",
                             help="Whether the nodes embed what is stored (semantic), do not (keyword), or one after "
                                  "the other."),
                      Option(flag="--sync-delay", read=integer, repeats=True,
                             help="Milliseconds by which each sync of the disk is slowed, 0 to 1000; several times for "
                                  "several (default: 0 and 2)."),
                      Option(flag="--tls", read=None,
                             help="Nodes and callers show each other certificates, which are made for the bench, and "
                                  "all that goes between them is encrypted; without it all goes in the clear."),
                      Option(flag="--quick", read=None,
                             help="About a minute: one second a figure, one writer and 64 (16 with --nodes), nothing "
                                  "embedded or slowed. Other options still hold.")),
             prints='{"seconds", "tls", "rates", "bulk_rows_per_s", "catch_up_ops_per_s", "caught_up_ops", '
                    '"bytes_per_op", "packed_bytes_per_op", "log_bytes_per_op", "goals", "met", "notes"}'),
    ),
    examples=(("Keep a report and compare a later one with it", "ai-memory bench --json > before.json"),
              ("Compare", "ai-memory bench --baseline before.json"),
              ("Time recall over a million memories", "ai-memory bench --rows 1000000"),
              ("Measure a mesh", "ai-memory bench mesh --seconds 10"),
              ("See what certificates cost it", "ai-memory bench mesh --quick --tls"),
              ("Measure what a write costs against the number of nodes", "ai-memory bench mesh --nodes 4,8,16")),
)
