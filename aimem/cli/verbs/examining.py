"""The verb that says what ails a node."""

from __future__ import annotations

from typing import Final

from aimem.cli.exits import EXAMINED
from aimem.cli.verbs.table import Verb
from aimem.wire import doctor

DOCTOR: Final = Verb(
    name="doctor", summary="look what ails the node and its machine", run="examining:examine", begins=True,
    judges_settings=True,
    about="Looks at the settings, certificates, the clock, the disk, the database, the models, and, if a daemon "
          "serves, at what it says of itself, its peers and their versions. Changes nothing: in the folder of the "
          "database it times a few small writes into a file that has no name. Each look has 10 seconds, that at the "
          "models 30; one that takes longer is given up, and that is a finding. Each finding says what was seen and "
          "what to do. A finding of severity info needs nothing; a warning wants to be looked at; what is critical is "
          "broken, or about to be. SQLite's look at the database is a quick one of 5 seconds at most: ai-memory verify "
          "reads all of it. It has to be run as the user whose daemon it is, with the same settings: see "
          "ai-memory-service(7). The findings are, as --json names them:",
    terms=tuple((kind.value, sentence) for kind, sentence in doctor.MEANING.items()),
    statuses=tuple((status.value, sentence) for status, sentence in EXAMINED.items()),
    prints='{"severity", "version", "db", "sections": [{"section", "severity", "summary", "findings": [{"kind", '
           '"severity", "seen", "remedy"}]}]}; a severity is one of ok, info, warning and critical, and the worst of '
           "what is in it; that of peers is info where no daemon was asked",
    examples=(("Look at the node", "ai-memory doctor"),
              ("Show what is critical alone",
               "ai-memory doctor --json | jq '.sections[].findings[] | select(.severity == \"critical\")'")),
)
