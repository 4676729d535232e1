"""Verbs that serve, and help."""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs.table import Argument, Option, Verb

SERVE: Final = Verb(
    name="serve", summary="run the daemon", run="servers:serve", begins=True,
    about="Serves the HTTP interface, ai-memory-api(7), until SIGTERM or SIGINT, then lets requests finish. If the "
          "port is taken it ends with exit status 7 and says so: stop what listens there, or choose another port with "
          "--port, 0 taking a free one. At SIGHUP it reads the members of the mesh, certificates, keys and the list of "
          "those that may connect anew, without interrupting anything: all of them, or, if one is at fault, none, and "
          "says so. Whoever is no longer on the list is cut off at once. With --tls-cert and --tls-key it speaks HTTPS "
          "alone on its port; see "
          "ai-memory-mesh(7), TLS, and who may connect. Each connection is an open file: of those it takes as many as "
          "the machine lets it have (ulimit -Hn), up to 65,536, and logs a warning if they are fewer than 2,048.",
    examples=(
        ("Serve on another port", "ai-memory serve --bind 127.0.0.1:9078"),
        ("Serve a mesh with mutual TLS", (
            "ai-memory serve --bind 0.0.0.0:9077 --tls-cert node-a.pem --tls-key node-a.key --mtls-allowlist "
            "peer-fingerprints.txt --quorum-client-cert node-a.pem --quorum-client-key node-a.key --quorum-ca-cert "
            "ca.pem --quorum-writes 2 --quorum-peers https://node-b:9077,https://node-c:9077")),
    ),
)
MCP: Final = Verb(
    name="mcp", summary="speak the Model Context Protocol on standard input and output", run="servers:mcp",
    begins=True,
    about="Started by an MCP client. Any number of these, the daemon and the command line may share one database. It "
          "ends with status 0 when the client closes standard input or goes away, and after SIGTERM or SIGINT, once "
          "what was accepted is answered. A client that speaks HTTP needs none of these: the daemon has the same at "
          "/mcp.",
    options=(Option(flag="--print-config", read=None,
                    help="Print the JSON to paste into an MCP client's configuration."),),
    examples=(("Configure a client", "ai-memory mcp --print-config"),
              ("Configure one that is shown all tools", "ai-memory mcp --profile full --print-config")),
)
HELP: Final = Verb(
    name="help", summary="show the help of a verb", begins=True,
    arguments=(Argument(name="words", count="*", help="The verb, and the verb within it; without one, the program."),),
    examples=(("What recall takes", "ai-memory help recall"),),
)
