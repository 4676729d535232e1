"""Verbs on the audit: list, verify, prune."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import counted, one_line
from aimem.wire import AuditPruneQuery, AuditQuery, AuditRowOut, AuditVerified, AuditVerifyQuery

if TYPE_CHECKING:
    from aimem.client import Client


def list_audit(context: Context) -> int:
    """List rows, the latest first."""
    value = context.value
    query = AuditQuery(
        agent=value("agent"), action=value("action"), decision=value("decision"), namespace=value("namespace"),
        since=value("since"), until=value("until"), before=value("before"), limit=value("limit"),
    )
    page = context.ask(lambda client: client.list_audit(query))
    if context.wants_json:
        context.screen.json(page)
        return ExitStatus.OK
    context.screen.table(
        ("row", "when", "agent", "did", "decision", "count", "namespace", "target", "rule"),
        [(str(row.seq), row.at, one_line(row.agent_id, width=40), one_line(row.action, width=30), row.decision,
          str(row.count), one_line(row.namespace or "", width=40), one_line(row.target or "", width=40), _rule(row))
         for row in page.rows])
    context.screen.say(f"{counted(page.count, 'row')}; the audit ends at {page.head}")
    return ExitStatus.OK


def _rule(row: AuditRowOut) -> str:
    return one_line(" ".join(filter(None, (row.rule, row.detail and f"({row.detail})"))), width=100)


def verify(context: Context) -> int:
    """Check all rows, or those behind a noted end."""
    found = context.ask(lambda client: _verify(client, context.value("after")))
    if context.wants_json:
        context.screen.json(found)
    elif found.problem is UNSET:
        context.screen.line(f"the audit is whole: {counted(found.checked, 'row')}, up to {found.head}")
    if found.problem is not UNSET:
        context.screen.say(f"the audit is damaged: {found.problem.text}; the last sound row is {found.head}")
    if found.checkpoint is not UNSET and not context.wants_json:
        cut = found.checkpoint
        context.screen.say(
            f"{counted(cut.row_count, 'row')} up to row {cut.seq} went at {cut.made_at}, by {cut.made_by}, behind a "
            "signed checkpoint")
    return ExitStatus.OK if found.ok else ExitStatus.OTHER


async def _verify(client: Client, after: str | None) -> AuditVerified:
    """Portion by portion; the answer is as of one check."""
    found = await client.verify_audit(AuditVerifyQuery(after=after))
    first_seq, checked = found.first_seq, found.checked
    while found.more:
        found = await client.verify_audit(AuditVerifyQuery(after=found.head))
        checked += found.checked
    return msgspec.structs.replace(found, first_seq=first_seq, checked=checked)


def prune(context: Context) -> int:
    """Delete old rows behind a signed checkpoint."""
    query = AuditPruneQuery(before=context.value("before"), before_seq=context.value("before_row"))
    if (query.before is None) == (query.before_seq is None):
        raise UsageError("audit prune needs --before TIME or --before-row N; see `ai-memory audit prune --help`")
    answer = context.ask(lambda client: client.prune_audit(query))
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"pruned: {counted(answer.pruned, 'row')}")
    if answer.problem is UNSET:
        return ExitStatus.OK
    context.screen.say(f"the audit is damaged: {answer.problem.text}; it stays, with all behind it")
    return ExitStatus.OTHER
