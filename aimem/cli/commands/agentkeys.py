"""Verbs on keys of agents: add, list, rotate, revoke."""

from __future__ import annotations

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import age, counted
from aimem.errors import InvalidRequest
from aimem.model import key_id_of, parse_instant
from aimem.wire import IssuedKey, KeyRequest, KeysQuery, RotateRequest


def add(context: Context) -> int:
    """Make a key."""
    value = context.value
    ttl_secs, expires_at = _end(context)
    request = KeyRequest(
        agent_id=value("id"), home=value("home"), role=value("role"), expires_at=expires_at, ttl_secs=ttl_secs,
        agent_type=value("agent_type"), force=value("force"))
    return _show(context, context.ask(lambda client: client.add_key(request)))


def rotate(context: Context) -> int:
    """Replace a key."""
    grace = context.value("grace")
    if isinstance(grace, str):
        raise UsageError(f"--grace is {grace[:64]!r}; wanted is a length of time like 1h, 30m or 2d")
    ttl_secs, expires_at = _end(context)
    request = RotateRequest(grace_secs=grace or 0, expires_at=expires_at, ttl_secs=ttl_secs)
    key_id = _key_id(context)
    return _show(context, context.ask(lambda client: client.rotate_key(key_id, request)))


def _end(context: Context) -> tuple[int | None, str | None]:
    """When the new key ends: in so many seconds, or at a moment."""
    given = context.value("expires")
    if isinstance(given, int):
        return given, None
    if given:
        _require_moment(given)
    return None, given


def _require_moment(given: str) -> None:
    try:
        parse_instant(given, field="expires_at")
    except InvalidRequest as error:
        raise UsageError(
            f"--expires is {given[:64]!r}; wanted is a time to live like 90d, 12h or 30m, or an RFC 3339 time like "
            "2026-01-31T09:30:00Z"
        ) from error


def _key_id(context: Context) -> str:
    """The id of a key; whoever pastes the whole key means that one."""
    given: str = context.value("key_id") or ""
    if not given:
        raise InvalidRequest("the id of a key is empty", field="key_id")
    return key_id_of(given) or given


def _show(context: Context, made: IssuedKey) -> int:
    """The key on stdout, alone, so that a script can keep it; what a person should know on stderr."""
    screen = context.screen
    if context.wants_json:
        screen.json(made)
    else:
        screen.line(made.key)
    until = f" until {made.expires_at}" if made.expires_at else ""
    home = f", home {made.home}" if made.home else ""
    screen.say(f"this key of {made.agent_id} ({made.role}{home}) is good{until}; it is not shown again")
    if made.replaces:
        screen.say(f"the key {made.replaces} ends at {made.replaced_until}")
    if made.is_first:
        screen.say("it is the first key: from now on callers over TCP need one; over the socket you stay an operator")
    return ExitStatus.OK


def list_keys(context: Context) -> int:
    """List keys."""
    query = KeysQuery(
        agent_id=context.value("agent"), limit=context.value("limit"), offset=context.value("offset"))
    found = context.ask(lambda client: client.list_keys(query))
    if context.wants_json:
        context.screen.json(found)
        return ExitStatus.OK
    now = context.around.now()
    context.screen.table(
        ("key id", "agent", "role", "home", "status", "made", "by", "ends"),
        [(one.key_id, one.agent_id, one.role, one.home or "", one.status, age(one.created_at, now), one.created_by,
          one.expires_at or "") for one in found.keys])
    context.screen.say(counted(found.total, "key"))
    if found.unreadable:
        context.screen.say(f"warning: {counted(found.unreadable, 'row')} cannot be read and let nobody in")
    return ExitStatus.OK


def revoke(context: Context) -> int:
    """End a key, or all of an agent."""
    agent_id: str | None = context.value("all_of")
    if (agent_id is None) == (context.value("key_id") is None):
        raise UsageError("agents key revoke needs the id of a key, or --all-of AGENT; see "
                         "`ai-memory agents key revoke --help`")
    if agent_id is None:
        key_id = _key_id(context)
        answer = context.ask(lambda client: client.revoke_key(key_id))
    else:
        answer = context.ask(lambda client: client.revoke_keys(agent_id))
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    for key_id in answer.key_ids:
        context.screen.line(f"revoked: {key_id}")
    if not answer.revoked:
        context.screen.say(f"nothing to revoke: what {answer.agent_id} had has ended already")
    return ExitStatus.OK
