"""The processes: how a node starts, is watched, is reached by others, and ends.

Owns the task tree, signals, readiness, listeners, HTTP connections and the lock's holder. Must never know a use case:
it mounts the app and runs the services that it is handed. What a node needs loads only where one is started.
"""

from aimem.supervisor.logs import for_command, set_up_logging
from aimem.supervisor.node import open_client, run_daemon
from aimem.supervisor.outside import Ports, system_ports

__all__ = ["Ports", "for_command", "open_client", "run_daemon", "set_up_logging", "system_ports"]
