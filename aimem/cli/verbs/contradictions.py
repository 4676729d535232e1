"""The verb that settles a contradiction."""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs.common import TWO_IDS, WHOLE
from aimem.cli.verbs.table import Argument, Verb

RESOLVE: Final = Verb(
    name="resolve", summary="say which of two memories holds", run="contradictions:resolve",
    about="Settles a contradiction: the winner supersedes the loser, so that recall leaves the loser out, and the "
          "loser's priority becomes 1 and its confidence at most 0.1. The loser stays where get and list find it, and "
          "unlink -r supersedes takes the decision back, though not the lower weight.",
    arguments=(Argument(name="winner", help=f"The memory that holds: {WHOLE}."),
               Argument(name="loser", help=f"The memory that holds no longer: {WHOLE}.")),
    prints='{"resolved", "winner", "loser", "version"?}; without version it was settled so already',
    examples=(("The newer of two memories holds", f'{TWO_IDS}\nai-memory resolve "$new" "$old"'),),
)
