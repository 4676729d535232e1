"""The verb console."""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs.table import Option, Verb

SCREENS: Final = (
    "mesh", "clocks", "pending", "memories", "namespaces", "agents", "conflicts", "log", "metrics",
)

CONSOLE: Final = Verb(
    name="console", summary="see and steer a mesh from one terminal", run="watching:console", begins=True,
    about="Opens a program for operators: who of the mesh is there and how far behind, which node knows what, what "
          "waits for a decision and what it would change. It asks the nodes every two seconds and follows their "
          "events, marks what is old, and goes on when a node is back. Without --url it is the node of the database "
          "(--db), by its socket, for which neither key nor certificate is needed; no node is started. With --url "
          "given several times, each of these nodes is asked, and the mesh is seen through the first that answers. "
          "Keys: the screens by 1 to 9, ? for help, Ctrl-P for all commands, q to leave; what changes anything asks "
          "before. 80 columns and 24 lines show everything; NO_COLOR is heeded, and nothing is said by colour alone. "
          "With --once the overview is printed instead, and the exit status is 0 if all is well, 1 if something wants "
          "to be looked at, 7 if no node answered.",
    options=(
        Option(flag="--url", repeats=True, help="The address of a node, several times for several; without it the "
                                                "node of the database."),
        Option(flag="--ca-cert", is_file=True, placeholder="FILE",
               help="Who signed the certificates of the nodes, in PEM; without it whom the machine trusts."),
        Option(flag="--client-cert", is_file=True, placeholder="FILE",
               help="The certificate to show to the nodes, for those with a list of who may connect."),
        Option(flag="--client-key", is_file=True, placeholder="FILE",
               help="Its key; without it, it is in the same file."),
        Option(flag="--key", help="The key to show to the nodes of --url; without it the setting api_key, which "
                                  "AI_MEMORY_API_KEY sets where other users may see the command line."),
        Option(flag="--screen", choices=SCREENS, default="mesh", help="The screen to begin with."),
        Option(flag="--colours", choices=("dark", "light", "ansi"), default_text="what fits the terminal",
               help="Dark, light, or the terminal's own sixteen colours."),
        Option(flag="--once", read=None, help="Print the overview, for people or with --json, and end."),
        Option(flag="--screenshot", is_file=True, placeholder="FILE",
               help="Leave a picture of the screen in this file, in SVG, and end."),
    ),
    prints='with --once {"verdict", "seen_by", "nodes", "quorum", "pending", "warnings"}; each of nodes {"door", '
           '"node", "state", "why", "rtt_ms", "ack_ms", "lag_ops", "lag_s", "acked", "of", "breaker", '
           '"clock_offset_ms", "certificate_days_left", "version"}; quorum {"writes", "members", "reachable", '
           '"short_writes", "last_short"}, or null if no node tells of the mesh',
    examples=(
        ("Look at this machine's node once", "ai-memory console --once"),
        ("Look at two nodes with mutual TLS", (
            "ai-memory console --url https://node-a:9077 --url https://node-b:9077 --ca-cert ca.pem --client-cert "
            "visitor.pem --client-key visitor.key")),
    ),
)
