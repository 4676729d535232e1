"""Verbs that find memories."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.common import AS_AGENT, AUTHOR, NAMESPACE, SINCE, TAGS, TIER_FILTER, UNTIL, limit
from aimem.cli.verbs.table import Argument, Option, Verb

RECALL: Final = Verb(
    name="recall", summary="find memories by meaning", run="finding:recall",
    arguments=(Argument(name="context", help="What to find: a question or a few words."),),
    about="Finds memories by meaning and words, best first, and marks them as used: each recall counts as an access "
          "and lengthens their life, and the fifth makes a mid-tier memory long-lived. If this process holds the "
          "database itself, memories that have no embedding yet get one first; with --tier keyword that is left out. "
          "If another process holds it, that one's tier decides how recall works.",
    options=(Option(flag="--namespace", short="-n", help="Only this namespace and, if it is a path, its ancestors."),
             limit(10), TAGS, SINCE, UNTIL, AS_AGENT,
             Option(flag="--budget-tokens", read=integer, help="Return memories of at most about so many tokens."),
             Option(flag="--context-tokens", help="Words of the conversation, divided by commas: they colour it."),
             Option(flag="--no-floor", read=None, help="Show also what has nothing to do with the question."),
             Option(flag="--explain", read=None,
                    help="Say of each memory what its score is made of; RANKING in ai-memory-api(7) says how.")),
    prints='{"memories", "count", "mode", "tokens_used", "below_floor", "budget_tokens"?, "ranking"?}; each memory has '
           'a score, "contradicted_by"? and, with --explain, an "explanation"',
    examples=(("Ask a question", 'ai-memory recall "which database did we choose?"'),
              ("Ask of a time, and why the answer is what it is",
               'ai-memory recall --explain "what broke last Friday?"')),
)
SEARCH: Final = Verb(
    name="search", summary="find memories that hold all words", run="finding:search",
    arguments=(Argument(name="query", help="Words that must all occur."),),
    about="Finds memories that hold all the words, in title, content or tags, in any order and form (deploy finds "
          "deployed). There are no operators: quotes, * and - are read over, and NOT is a word like any other. Very "
          "common words such as and, or, the need not occur.",
    options=(NAMESPACE, TIER_FILTER, limit(20), SINCE, UNTIL, TAGS, AUTHOR, AS_AGENT),
    prints='{"results", "memories", "count", "query"}',
    examples=(("Search one namespace", "ai-memory search -n project sqlite"),),
)
LIST: Final = Verb(
    name="list", summary="list memories", run="finding:list_memories",
    about="Lists live memories by priority, then by latest change.",
    options=(NAMESPACE, TIER_FILTER, limit(20), SINCE, UNTIL, TAGS,
             Option(flag="--min-priority", read=integer, help="Only memories of at least this priority."),
             Option(flag="--offset", read=integer, default=0, help="Skip so many."),
             Option(flag="--cursor", help="Continue after a page: its next_cursor. Excludes --offset."), AUTHOR),
    prints='{"memories", "count", "next_cursor"?}',
    examples=(("List long-lived memories", "ai-memory list -t long --limit 50"),),
)
