"""Verbs on actions that wait for approval: list, get, approve, reject, comment, again."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import msgspec
from msgspec import UNSET

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.text import age, counted, one_line
from aimem.model import Instant
from aimem.wire import ChangeOut, CommentRequest, DecisionRequest, PendingDetail, PendingOut, PendingQuery

WIDTH: Final = 78
SHORT_MAX: Final = 28
"""Two values that are no longer stand on one line."""
ABOUT_MAX: Final = 60


def list_pending(context: Context) -> int:
    """List actions."""
    value = context.value
    query = PendingQuery(
        status=value("status"), namespace=value("namespace"), requested_by=value("requested_by"),
        action=value("action"), limit=value("limit"), offset=value("offset"))
    found = context.ask(lambda client: client.list_pending(query))
    if context.wants_json:
        context.screen.json(found)
        return ExitStatus.OK
    now = context.around.now()
    context.screen.table(
        ("id", "status", "action", "namespace", "asked", "by", "about"),
        [(one.id, _status(one), one.action_type, one.namespace, age(one.requested_at, now), one.requested_by,
          _about(one)) for one in found.pending])
    more = "; there are more: --offset" if found.more else ""
    context.screen.say(counted(found.count, "action") + more)
    return ExitStatus.OK


def get(context: Context) -> int:
    """Show one action."""
    found = context.ask(lambda client: client.get_pending(context.value("id")))
    if context.wants_json:
        context.screen.json(found)
    else:
        for line in described(found, context.around.now()):
            context.screen.line(line)
    return ExitStatus.OK


def approve(context: Context) -> int:
    """Vote for an action."""
    request = DecisionRequest(comment=context.value("comment"))
    answer = context.ask(lambda client: client.approve_pending(context.value("id"), request))
    screen = context.screen
    if context.wants_json:
        screen.json(answer)
    elif answer.executed is True:
        screen.line(f"approved: {answer.id}" + (f", done: {answer.memory_id}" if answer.memory_id else ""))
    elif answer.approved and answer.error is UNSET:
        screen.line(f"approved: {answer.id}, and there was nothing left to do")
    if not answer.approved and answer.decided_by is not UNSET:
        screen.say(f"error: {answer.status}: {answer.reason or ''}")
        return ExitStatus.CONFLICT
    if not answer.approved:
        screen.say(f"still pending: {answer.votes or 0} of {answer.quorum or 1} approvals; {answer.reason or ''}")
        return ExitStatus.PENDING
    if answer.error is not UNSET:
        screen.say(f"error: approved, and could not be done: {answer.error}")
        return ExitStatus.CONFLICT
    return ExitStatus.OK


def reject(context: Context) -> int:
    """Vote against an action."""
    request = DecisionRequest(comment=context.value("comment"))
    answer = context.ask(lambda client: client.reject_pending(context.value("id"), request))
    _show(context, answer, f"{'rejected' if answer.rejected else answer.status}: {answer.id}")
    if answer.decided_by is UNSET:
        context.screen.say(f"recorded: {answer.reason or ''}")
        return ExitStatus.PENDING
    if not answer.rejected:
        context.screen.say(f"error: {answer.status}: {answer.reason or ''}")
        return ExitStatus.CONFLICT
    return ExitStatus.OK


def comment(context: Context) -> int:
    """Say something about an action."""
    request = CommentRequest(text=context.value("text"))
    answer = context.ask(lambda client: client.comment_pending(context.value("id"), request))
    _show(context, answer, f"commented: {answer.id}")
    return ExitStatus.OK


def again(context: Context) -> int:
    """Ask for an action again."""
    answer = context.ask(lambda client: client.ask_again(context.value("id")))
    if answer.executed:
        _show(context, answer, f"done: {answer.memory_id or answer.id}")
        return ExitStatus.OK
    if context.wants_json:
        context.screen.json(answer)
    context.screen.say(f"queued for approval again: pending_id={answer.pending_id} ns={answer.namespace}")
    return ExitStatus.PENDING


def _show(context: Context, answer: object, line: str) -> None:
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(line)


def _status(one: PendingOut) -> str:
    waits = f"{one.status} {len(one.approvals)}/{one.quorum}" if one.status == "pending" else one.status
    return f"{waits} (orphaned)" if one.orphaned else waits


def _about(one: PendingOut) -> str:
    about = one.payload.get("title") or one.payload.get("id") or one.payload.get("to_namespace") or ""
    return one_line(str(about), width=ABOUT_MAX)


def described(one: PendingDetail, now: Instant) -> Iterator[str]:
    """An action for people, no line wider than 80 columns where its words let it be broken."""
    yield f"{one.id}  {_status(one)}"
    yield from _wrapped(
        f"{one.action_type} in {one.namespace} ({one.label}), asked for by {one.requested_by} "
        f"{age(one.requested_at, now)}")
    yield from _wrapped(f"by the rule {one.rule}; approver: {_approver(one)}, {one.quorum} needed")
    if one.decided_at is not UNSET:
        yield from _wrapped(f"decided by {one.decided_by} {age(one.decided_at, now)}")
    else:
        yield f"expires {one.expires_at}"
    if one.asked_again_as:
        yield f"asked again as {one.asked_again_as}"
    yield from _effect(one)
    for vote in one.votes:
        word = "" if vote.counts else " (late)" if vote.late else " (does not count)"
        said = f": {vote.comment}" if vote.comment else ""
        yield from _wrapped(f"{vote.vote} by {vote.agent_id} {age(vote.voted_at, now)}{word}{said}")
    for said_by in one.comments:
        yield from _wrapped(f"{said_by.agent_id} {age(said_by.made_at, now)}: {said_by.text}")
    for (kind, key, effect), fields in groupby(one.changes, key=lambda change: (change.kind, change.id, change.effect)):
        yield f"{effect} {kind} {key}"
        for change in fields:
            yield from _difference(change)
    if one.changes_total > len(one.changes):
        yield f"and {counted(one.changes_total - len(one.changes), 'further field')}"


def _effect(one: PendingDetail) -> Iterator[str]:
    """What came of it: an approved action shows no changes any more, so this says what it was about."""
    if one.error:
        yield from _wrapped(f"could not be done: {one.error}")
    elif one.executed is True:
        yield from _wrapped(f"done: {' '.join(filter(None, (one.result_id or '', _about(one))))}")
    elif one.executed is False and one.status == "approved":
        yield "there was nothing left to do"


def _approver(one: PendingOut) -> str:
    return "nobody, its policy cannot be read" if one.approver is UNSET else _words(one.approver)


def _difference(change: ChangeOut) -> Iterator[str]:
    """One field: on one line if both values are short, else by lines, as diff shows them."""
    before, after = _words(change.before), _words(change.after)
    cut = " (cut)" if change.cut else ""
    if len(before) + len(after) <= 2 * SHORT_MAX and "\n" not in before + after:
        sides = {"create": after, "delete": before}
        yield f"  {change.field}: {sides.get(change.effect, f'{before} -> {after}')}{cut}"
        return
    yield f"  {change.field}:{cut}"
    old = before.splitlines() if change.effect != "create" else []
    new = after.splitlines() if change.effect != "delete" else []
    for line in _lines(old, new):
        yield from textwrap.wrap(
            line[1:], WIDTH, initial_indent=f"    {line[0]} ", subsequent_indent=f"    {line[0]} ",
            break_on_hyphens=False) or [f"    {line[0]}"]


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Each line behind -, + or a blank; of what stays the same two lines around."""
    for place, line in enumerate(list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]):
        if not line.startswith("@@"):
            yield line
        elif place:
            yield " …"


def _words(value: object) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(one_line(text), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
