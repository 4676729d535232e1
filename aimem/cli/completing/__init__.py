"""Scripts that teach shells to complete our command line, made from the table of verbs."""

from aimem.cli.completing.places import Flag, Place, places
from aimem.cli.completing.scripts import SCRIPTS

__all__ = ["SCRIPTS", "Flag", "Place", "places"]
