"""The operator's console: a terminal program that looks at nodes, and acts through them, as any other client.

Owns its state, its screens, and the event loop (asyncio) on which Textual runs. Must never decide what a node decides,
wait for the network in a key's handler, or draw text of a node that did not pass `harmless`.
"""

from aimem_tui.overview import run_overview
from aimem_tui.run import run_console

__all__ = ["run_console", "run_overview"]
