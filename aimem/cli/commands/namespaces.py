"""Verbs on what is set for namespaces: standards, policies, and who could do what."""

from __future__ import annotations

import json
from typing import Any, Final  # Any: JSON as somebody wrote it, which the node checks

import msgspec
from msgspec import UNSET

from aimem.cli.commands.memories import content_of
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import age, counted, one_line
from aimem.errors import InvalidRequest
from aimem.wire import AccessQuery, HistoryQuery, NamespaceStandard, PolicyOut, StandardRequest

SHOWN_MAX: Final = 72
"""Characters of a standard in a list."""


def set_standard(context: Context) -> int:
    """Set what holds in a namespace."""
    value = context.value
    if value("memory_id") is not None and value("content") is not None:
        raise UsageError("--id excludes --content; give one of them")
    if all(value(name) is None for name in ("memory_id", "content", "governance", "parent", "owner")):
        raise UsageError("nothing to set; give --id, --content, --governance, --parent or --owner")
    request = StandardRequest(
        id=value("memory_id"), content=None if value("content") is None else content_of(context),
        governance=_policy_given(value("governance")), parent=value("parent"), owner=value("owner"),
        force=value("force"), dry_run=value("dry_run"))
    answer = context.ask(lambda client: client.set_standard(value("namespace"), request))
    for warning in answer.warnings:
        context.screen.say(f"warning: {warning}")
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    word = "set" if answer.set else "would wait for approval" if answer.decision == "ask" else "would be set"
    context.screen.line(f"{word}: {answer.namespace} (standard {answer.standard_id or 'made anew'}, "
                        f"owner {answer.owner or 'nobody'})")
    if answer.governance is not UNSET:
        context.screen.line(f"policy: {_policy_words(answer.governance)}")
    return ExitStatus.OK


def get_standard(context: Context) -> int:
    """Show what is set for a namespace."""
    namespace = context.value("namespace")
    if context.value("inherit"):
        return _show_all(context, namespace)
    answer = context.ask(lambda client: client.standard(namespace))
    if context.wants_json:
        context.screen.json(answer)
    else:
        _show(context, answer)
    return ExitStatus.OK


def _show(context: Context, standard: NamespaceStandard) -> None:
    screen = context.screen
    title = "" if standard.title is UNSET else f" {standard.title}"
    screen.line(f"namespace: {standard.namespace}")
    screen.line(f"standard:  {standard.standard_id or 'none'}{title}")
    if standard.parent is not UNSET:
        screen.line(f"parent:    {standard.parent}")
    if standard.owner is not UNSET:
        screen.line(f"owner:     {standard.owner}")
    screen.line(f"policy:    {_holding_words(standard)}")
    if standard.changed_by is not UNSET and standard.changed_at is not UNSET:
        screen.line(f"changed:   {age(standard.changed_at, context.around.now())} by {standard.changed_by}")
    if standard.content is not UNSET:
        screen.line()
        screen.line(standard.content)
    _warn(context, standard)


def _show_all(context: Context, namespace: str) -> int:
    answer = context.ask(lambda client: client.standards(namespace))
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    context.screen.table(
        ("namespace", "policy", "standard", "text"),
        [(one.namespace, "none of its own" if one.governance is None else _policy_words(one.governance),
          one.standard_id or "none", "" if one.content is UNSET else one_line(one.content, width=SHOWN_MAX))
         for one in answer.standards])
    held = NamespaceStandard(
        namespace=answer.namespace, standard_id=None, effective=answer.effective, from_=answer.from_,
        governance_error=answer.governance_error)
    context.screen.say(f"in {answer.namespace} holds: {_holding_words(held)}")
    for one in answer.standards:
        _warn(context, one)
    return ExitStatus.OK


def _warn(context: Context, standard: NamespaceStandard) -> None:
    if standard.warning is not UNSET:
        context.screen.say(f"warning: {standard.namespace}: {standard.warning}")
    if standard.governance_error is not UNSET:
        context.screen.say(f"warning: {standard.from_}: {standard.governance_error}")


def clear_standard(context: Context) -> int:
    """Take what is set for a namespace away."""
    answer = context.ask(lambda client: client.clear_standard(context.value("namespace")))
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"cleared: {answer.namespace}" if answer.cleared else f"nothing is set: {answer.namespace}")
    return ExitStatus.OK


def access(context: Context) -> int:
    """Show who could do what."""
    query = AccessQuery(agent_id=context.value("subject"))
    answer = context.ask(lambda client: client.access(context.value("namespace"), query))
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    context.screen.table(
        ("act", "own", "others'", "by", "reason"),
        [(row.verb, row.decision, row.on_others, "no policy" if row.from_ is None else
          f"{row.from_}: {row.level or 'cannot be read'}",
          f"approved by {row.approver}" if row.approver is not UNSET else
          "" if row.reason is UNSET and row.on_others_reason is UNSET else
          str(row.reason if row.reason is not UNSET else row.on_others_reason))
         for row in answer.access])
    about = [f"role {answer.role}", "registered" if answer.registered else "not registered"]
    about += [] if answer.home is UNSET else [f"home {answer.home}"]
    context.screen.say(f"{answer.agent_id} in {answer.namespace}: {', '.join(about)}")
    if answer.warning is not UNSET:
        context.screen.say(f"warning: {answer.warning}")
    return ExitStatus.OK


def history(context: Context) -> int:
    """Show what was set before."""
    query = HistoryQuery(limit=context.value("limit"))
    answer = context.ask(lambda client: client.namespace_history(context.value("namespace"), query))
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    now = context.around.now()
    context.screen.table(
        ("changed", "by", "owner", "standard", "policy"),
        [(age(one.changed_at, now), one.changed_by, one.owner or "nobody", one.standard_id or "none",
          "cannot be read" if one.governance_error is not UNSET else
          "none" if one.governance is None else _policy_words(one.governance)) for one in answer.history])
    context.screen.say(counted(answer.count, "change"))
    return ExitStatus.OK


def _policy_given(text: str | None) -> dict[str, Any] | None:
    """The value of --governance. Raises: InvalidRequest; what is in it the node judges."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidRequest(
            f"--governance is no JSON object: {error}; write it like '{{\"write\": \"owner\"}}'", field="governance"
        ) from None


def _holding_words(standard: NamespaceStandard) -> str:
    if standard.governance_error is not UNSET:
        return f"that of {standard.from_} cannot be read, so it denies"
    if standard.effective is None:
        return "none: everybody may do everything"
    origin = "" if standard.from_ == standard.namespace else f" (of {standard.from_})"
    return _policy_words(standard.effective) + origin


def _policy_words(policy: PolicyOut) -> str:
    approver = policy.approver if isinstance(policy.approver, str) else json.dumps(policy.approver)
    return (
        f"write={policy.write} promote={policy.promote} delete={policy.delete} policy={policy.policy} "
        f"approver={approver}"
    )
