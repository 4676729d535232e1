"""The processes: how a node starts, is watched, is reached by others, and ends.

Owns the task tree, signals, readiness, listeners, HTTP connections and the lock's holder. Must never know a use case:
it mounts the app and runs the services that it is handed. What a node needs loads only where one is started, and what
the doctor looks through (`examining`) where it is imported.
"""

from aimem.supervisor.logs import set_up_logging, set_up_logging_of_command
from aimem.supervisor.node import open_client, run_daemon
from aimem.supervisor.outside import Ports, system_ports
from aimem.supervisor.place import find_socket, locate
from aimem.supervisor.room import make_room

__all__ = [
    "Ports", "examining", "find_socket", "locate", "make_room", "open_client", "run_daemon", "set_up_logging",
    "set_up_logging_of_command", "system_ports",
]
