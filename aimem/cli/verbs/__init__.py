"""The table of verbs: what each takes, what it prints, and the function that does it.

Parser and manual are built from it. Functions are named as text (`module:function` under `aimem.cli.commands`), because
importing them would load what `--help` must not. Each module holds one subject.
"""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs import (
    agents,
    approvals,
    contradictions,
    curation,
    examining,
    finding,
    governance,
    interactive,
    keeping,
    memories,
    meshing,
    namespaces,
    servers,
    transfer,
    trust,
    upkeep,
    watching,
)
from aimem.cli.verbs.table import Argument, Option, Verb, within

VERBS: Final = (
    servers.SERVE,
    servers.MCP,
    memories.STORE,
    memories.UPDATE,
    finding.RECALL,
    finding.SEARCH,
    memories.GET,
    finding.LIST,
    memories.DELETE,
    memories.PROMOTE,
    curation.FORGET,
    memories.LINK,
    memories.UNLINK,
    contradictions.RESOLVE,
    curation.CONSOLIDATE,
    curation.AUTO_CONSOLIDATE,
    curation.CURATOR,
    upkeep.STATS,
    upkeep.NAMESPACES,
    namespaces.NAMESPACE,
    upkeep.GC,
    upkeep.ARCHIVE,
    agents.AGENTS,
    agents.NOTIFY,
    agents.INBOX,
    approvals.PENDING,
    governance.AUDIT,
    transfer.IMPORT,
    transfer.EXPORT,
    transfer.SYNC,
    meshing.SYNC_DAEMON,
    meshing.MESH,
    trust.PKI,
    trust.DEMO,
    watching.CONSOLE,
    transfer.MINE,
    keeping.BACKUP,
    keeping.RESTORE,
    keeping.VERIFY,
    examining.DOCTOR,
    upkeep.REINDEX,
    upkeep.STATUS,
    upkeep.BENCH,
    interactive.SHELL,
    interactive.COMPLETIONS,
    interactive.MAN,
    servers.HELP,
)

__all__ = ["VERBS", "Argument", "Option", "Verb", "within"]
