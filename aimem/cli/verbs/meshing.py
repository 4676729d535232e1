"""Verbs about the mesh."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.table import Argument, Option, Verb

_DOCUMENT: Final = "the mesh, as GET /api/v1/mesh"

_WRITES: Final = Option(
    flag="--quorum-writes", read=integer, help="W from then on: nodes that have a write when it is acknowledged."
)
_DRY: Final = Option(flag="--dry-run", read=None, help="Show what would be done, and do nothing.")

SYNC_DAEMON: Final = Verb(
    name="sync-daemon", summary="exchange with other nodes", run="meshing:sync_daemon", begins=True,
    about="Exchanges everything with the peers again and again, until a signal. Where a daemon holds the database it "
          "is asked to do so, and has to have these peers; else this process does it. A daemon that is started with "
          "--quorum-peers needs none of this. At SIGHUP certificates and keys are read anew.",
    options=(
        Option(flag="--peers", required=True, help="The addresses of the other nodes, divided by commas."),
        Option(flag="--interval", read=integer, default=2, help="Seconds between rounds, 1 to 3600."),
        Option(flag="--api-key", help="The key that they want, if it is not the configured one."),
        Option(flag="--batch-size", read=integer, default=500,
               help="Has no effect: batches are bounded by bytes and count."),
        Option(flag="--client-cert", is_file=True, placeholder="file",
               help="The certificate to show the peers, instead of the configured one, ai-memory-mesh(7): a PEM file."),
        Option(flag="--client-key", is_file=True, placeholder="file", help="The key of that certificate: a PEM file."),
        Option(flag="--ca-cert", is_file=True, placeholder="file",
               help="The authorities that sign the peers' certificates, instead of those configured: a PEM file."),
        Option(flag="--insecure-skip-server-verify", read=None,
               help="Is refused: whom an unverified server hands everything to, nobody knows."),
    ),
    prints=f"after each round that brought or sent something, {_DOCUMENT}",
    examples=(
        ("Follow another node", "ai-memory sync-daemon --peers http://127.0.0.1:9078 --interval 5"),
        ("Follow one that wants a certificate", (
            "ai-memory sync-daemon --peers https://node-b:9077 --client-cert me.pem --client-key me.key --ca-cert "
            "ca.pem")),
    ),
)
MESH: Final = Verb(
    name="mesh", summary="look at the mesh, and change who is in it",
    children=(
        Verb(name="status", summary="show this node's view of the mesh", run="meshing:status", prints=_DOCUMENT),
        Verb(name="peers", summary="list the peers", run="meshing:peers", prints="the peers of that document"),
        Verb(name="conflicts", summary="list writes that lost to one that did not know of them",
             run="meshing:conflicts",
             about="The table leaves out updated_at where another field of the same edit lost; --json has all.",
             options=(Option(flag="--limit", read=integer, default=50, help="At most so many, 1 to 1000."),),
             prints="the conflicts of that document, the newest first"),
        Verb(name="verify", summary="compare this node's memories with every peer's", run="meshing:verify",
             about="Compares all objects, range by range, while everybody goes on writing. Exits with 6 if some differ "
                   "although both nodes know the same writes, with 7 if a peer cannot be compared now, or not wholly: "
                   "what one of both does not know yet is counted as pending.",
             options=(Option(flag="--repair", read=None,
                             help="Get back from the peers what this node lost; what a peer lost it gets back when "
                                  "the same is asked of it."),),
             prints="what was found of each peer: verdict, counts, and the first objects that differ"),
        Verb(name="add", summary="tell this node of one more member", run="members:add",
             about="Changes what tells this node of its peers, its configuration file or the list that quorum_peers "
                   "names with @, and has the running daemon read it anew: see ai-memory-mesh(7), Growing and "
                   "shrinking a mesh. An address where no member of this mesh answers is taken back; of one that is "
                   "a peer already only W is set, and without --quorum-writes it exits with 6. What is to be said on "
                   "the other nodes is printed. With --dry-run the daemon looks who answers there, and says it.",
             arguments=(Argument(name="url", help="Its address, like http://10.0.0.5:9077."),),
             options=(_WRITES, Option(flag="--force", read=None, help="Also where nobody answers yet."), _DRY),
             prints="the files that were changed, what holds now, and what to say on the other nodes",
             examples=(("A fifth node", "ai-memory mesh add http://10.0.0.5:9077 --quorum-writes 3"),)),
        Verb(name="remove", summary="tell this node of one member less", run="members:remove",
             about="The counterpart of mesh add: the node is asked no more and counts for nothing here. It is not "
                   "locked out by that; see ai-memory-mesh(7), Growing and shrinking a mesh.",
             arguments=(Argument(name="node", help="Its name, as mesh status shows it, or its address."),),
             options=(_WRITES, _DRY),
             prints="as mesh add",
             examples=(("A node that is gone for good", "ai-memory mesh remove node-c"),)),
        Verb(name="reload", summary="have the running daemon read its configuration anew", run="members:reload",
             about="As SIGHUP does, and waits for it: the members of the mesh, certificates, keys and the list of "
                   "those that may connect; all of them, or, if one is at fault, none, and then it exits with 2 and "
                   "says what is wrong.",
             prints="what holds now, as POST /api/v1/mesh/reload"),
        Verb(name="rejoin", summary="fetch everything from a peer again", run="members:rejoin",
             about="For a node whose disk or database is in doubt: it begins a new stream, refuses to write, fetches "
                   "the whole state of a peer, joins it with what it has, and is ready when it knows what its peers "
                   "know. Nothing is lost by that. Shows how far it is; Ctrl-C ends that alone.",
             options=(Option(flag="--forget-cluster", read=None,
                             help="Also learn the mesh's id anew, from the peers that it is told of."),),
             prints="the stream that it writes, and how many writes are known"),
        Verb(name="trust", summary="say that a node with another key is the one of its name", run="meshing:trust",
             about="For a node that lost its key and was set up anew: its peers refuse it until this was said on each "
                   "of them. Compare the digits with those that the node itself shows as its key in mesh status. Where "
                   "nobody was refused under that name the name is forgotten, and the next to come under it is "
                   "believed.",
             arguments=(Argument(name="node", help="Its name, as mesh status shows it."),),
             options=(Option(flag="--key", help="The beginning of the key that is meant, 8 hex digits or more."),),
             prints="the key that was known, and the one that is believed now"),
    ),
    about="See ai-memory-mesh(7).",
    examples=(("Who is behind?", "ai-memory mesh status"), ("Are all copies equal?", "ai-memory mesh verify")),
)
