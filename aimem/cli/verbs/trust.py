"""Verbs about who belongs to a mesh."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.table import Argument, Option, Verb

_DIR: Final = Option(flag="--dir", default="pki", help="The folder with the authority and what it signed.")
_FILES: Final = Argument(name="file", count="*", is_file=True,
                         help="Files with certificates, in PEM; without one, all of the folder.")

PKI: Final = Verb(
    name="pki", summary="make and look at certificates, without any other tool", begins=True, is_plain=True,
    about="For a mesh whose nodes know each other by certificates, where nobody runs an authority yet. A folder holds "
          "the authority (ca.pem, ca.key), a certificate with its key for each node (NAME.pem, NAME.key), and "
          "peer-fingerprints.txt, the list of those that may connect (--mtls-allowlist). Keys are ECDSA P-256, for "
          "their owner's eyes alone (0600), and under no passphrase: keep the folder where no node is, and copy to "
          "each node its own files, ca.pem and the list. Whoever has ca.key can pose as any node to those that connect "
          "to it; who may connect is a matter of the list.",
    children=(
        Verb(name="init", summary="make an authority", run="certifying:init", begins=True, is_plain=True,
             options=(
                 _DIR,
                 Option(flag="--name", default="ai-memory mesh", help="What the authority is called."),
                 Option(flag="--days", read=integer, default=3650, help="How long it holds, 1 to 7300 days."),
                 Option(flag="--force", read=None,
                        help="Throw away the authority that is there; what it signed is worth nothing then."),
             ),
             prints='{"folder", "certificate", "key", "subject", "fingerprint", "not_after", "warnings"}'),
        Verb(name="issue", summary="make a certificate for a node, and list it", run="certifying:issue", begins=True,
             is_plain=True,
             about="The certificate is good for both ends of a connection, and for a host of the node's name, too. "
                   "Says what has to be copied where, and the command that starts the node. A certificate that follows "
                   "another (--renew) has a key of its own; the one before stays on the list, so that nothing stops "
                   "while the nodes get the new one: copy the list to all nodes and send SIGHUP to their daemons, then "
                   "the certificate to its node and SIGHUP there, then ai-memory pki remove NAME --replaced, and the "
                   "list once more. Where the key is a credential of the service, a new start of it takes the place of "
                   "SIGHUP on that node: see ai-memory-service(7), A MESH OF SERVICES, also for where the files go.",
             options=(
                 Option(flag="--name", required=True,
                        help="The node's name (--node-name): letters, digits, dots, hyphens and underscores."),
                 Option(flag="--dns", repeats=True, help="A host name by which others reach it; several times for "
                                                         "several."),
                 Option(flag="--ip", repeats=True, help="An address by which others reach it; several times for "
                                                        "several."),
                 Option(flag="--days", read=integer, default=397,
                        help="How long it holds, 1 to 7300 days, and no longer than the authority."),
                 Option(flag="--renew", read=None,
                        help="Follow the certificate that is there, with its names if none are given."),
                 _DIR,
             ),
             prints='{"name", "certificate", "key", "ca", "allowlist", "fingerprint", "names", "not_after", "replaced"'
                    ', "serve", "warnings"}'),
        Verb(name="remove", summary="take a node off the list", run="certifying:remove", begins=True, is_plain=True,
             about="Its files stay. A node lets it in no longer once it has the new list and got SIGHUP. Who has "
                   "left for good also goes out of --quorum-peers of the others, at their next start. What puts it "
                   "back is the line that ai-memory pki fingerprint prints of its certificate, as in the example.",
             arguments=(Argument(name="name", help="The node's name."),),
             options=(
                 Option(flag="--replaced", read=None,
                        help="Only those of its certificates that another one has followed."),
                 _DIR,
             ),
             prints='{"name", "allowlist", "removed", "left"}'),
        Verb(name="fingerprint", summary="print the fingerprints of certificates", run="certifying:fingerprint",
             begins=True, is_plain=True,
             about="Prints the SHA-256 of the first certificate of each file, the one that is shown to others, as the "
                   "list of those that may connect has it; of a folder those of its nodes.",
             arguments=(_FILES,), options=(_DIR,), prints="what show prints, of the first certificate of each file"),
        Verb(name="show", summary="show what certificates say", run="certifying:show", begins=True, is_plain=True,
             about="Warns of what has ended or ends within 30 days, of a key that others may read or that is of "
                   "another certificate, and of a certificate of the folder that is not on its list.",
             arguments=(_FILES,), options=(_DIR,),
             prints='a list of {"file", "kind", "subject", "issuer", "names", "not_before", "not_after", "days_left", '
                    '"fingerprint", "warnings"}'),
    ),
    examples=(("Certificates for a mesh of two",
               ("ai-memory pki init\nai-memory pki issue --name node-a --ip 192.0.2.1\n"
                "ai-memory pki issue --name node-b --dns node-b.example.net\nai-memory pki show")),
              ("A certificate is about to end", "ai-memory pki issue --name node-a --renew"),
              ("A node has left", "ai-memory pki remove node-b"),
              ("It is back", "ai-memory pki fingerprint pki/node-b.pem >> pki/peer-fingerprints.txt")),
)
DEMO: Final = Verb(
    name="demo", summary="show a mesh at work, on this machine", run="demonstrating:demonstrate", begins=True,
    is_plain=True,
    about="Makes certificates, starts nodes on free ports of 127.0.0.1 that know each other by them, and does before "
          "your eyes what a mesh is for: turns a stranger away, stores through one node, reads through another, "
          "deletes, takes a node down and sees it catch up, gives one another certificate. Then it prints their "
          "addresses and commands to try, and keeps the nodes until Ctrl-C. A second Ctrl-C ends them at once. Nothing "
          "of it reaches your own database or configuration, or the network beyond loopback. Everything lies in a "
          "temporary folder, which is removed at the end; the nodes end with this process, whatever ends it. With "
          "--console the operator's console is opened on the nodes, ai-memory-console(1), and all ends with it; a node "
          "that is killed meanwhile is started again after ten seconds.",
    options=(
        Option(flag="--nodes", read=integer, default=4, help="How many nodes, 2 to 8."),
        Option(flag="--tier", choices=("keyword", "semantic"), default="keyword",
               help="Whether the nodes find by words alone, or also by meaning, which takes each of them longer to "
                    "start, and 150 MB."),
        Option(flag="--keep", is_file=True, placeholder="DIR",
               help="Use this folder, which has to be empty or not there yet, and leave it."),
        Option(flag="--once", read=None, help="End after the last step, and wait for nothing."),
        Option(flag="--console", read=None, help="Open the console on the nodes, and end when it is left."),
    ),
    prints='{"folder", "is_whole", "nodes", "steps", "commands"} once every step is done; the steps are told on '
           "standard error",
    examples=(("See a mesh of four", "ai-memory demo --once"),
              ("Keep what was written, and the nodes' logs", "ai-memory demo --nodes 3 --once --keep ./demo")),
)
