"""The command line: words in, one call of the client, words or JSON out.

Owns options, output, exit statuses and the generated manual pages. Must never decide what the node decides: it is a
client like any other. Importing this room loads neither Trio nor SQLite nor httpx, so that `--help` is instant.
"""

from aimem.cli.exits import ExitStatus
from aimem.cli.main import main
from aimem.cli.runtime import Attached, Keeper, Pki, Progress, Purpose, Runtime, Stage
from aimem.cli.surroundings import Surroundings, system_surroundings

__all__ = [
    "Attached", "ExitStatus", "Keeper", "Pki", "Progress", "Purpose", "Runtime", "Stage", "Surroundings", "main",
    "system_surroundings",
]
