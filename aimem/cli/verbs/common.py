"""Arguments and options that several verbs share, and beginnings of their examples."""

from __future__ import annotations

from aimem.cli.values import integer, number, one_tag
from aimem.cli.verbs.table import Argument, Option
from aimem.model import Relation, Scope, Tier

TIERS = tuple(tier.value for tier in Tier)
SCOPES = tuple(scope.value for scope in Scope)
RELATIONS = tuple(relation.value for relation in Relation)
ID = Argument(name="id", help="The memory's whole id, as get shows it; a prefix does not do here.")
WHOLE = "the whole id; a prefix does not do here"
ID_OR_PREFIX = Argument(name="id", help="The memory's id, or a unique prefix of at least 4 characters.")
NAMESPACE = Option(flag="--namespace", short="-n", help="Only this namespace.")
TIER_FILTER = Option(flag="--tier", short="-t", choices=TIERS, help="Only this tier.")
SINCE = Option(flag="--since", help="Only memories created at or after this RFC 3339 time.")
UNTIL = Option(flag="--until", help="Only memories created at or before this RFC 3339 time.")
TAGS = Option(flag="--tags", read=one_tag, help="Only memories with this tag, one.")
AUTHOR = Option(flag="--agent-id", dest="author", help="Only memories of this author (not who asks).")
AS_AGENT = Option(flag="--as-agent", help="Only what an agent living in this namespace may see.")
TITLE = Option(flag="--title", short="-T", help="The title.")
CONTENT = Option(flag="--content", short="-c", help="The text; - reads it from standard input.")
PRIORITY = Option(flag="--priority", short="-p", read=integer, help="1 (least) to 10.")
CONFIDENCE = Option(flag="--confidence", read=number, help="How sure it is, 0 to 1.")
TAG_LIST = Option(flag="--tags", help="Tags, divided by commas.")


def limit(default: int) -> Option:
    """How many at most."""
    return Option(flag="--limit", read=integer, default=default, help="At most so many.")


NEW_ID = 'id=$(ai-memory store -c "Tests run on Mondays." --json | jq -r .id)'
TWO_IDS = ('old=$(ai-memory store -T A -c "Tests run on Mondays." --json | jq -r .id)\n'
            'new=$(ai-memory store -T B -c "Tests run every day." --json | jq -r .id)')
"""Beginnings of examples that need ids; all of an example can be run as it stands."""
