"""The verb console: which nodes it looks at, and its overview for scripts."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import counted
from aimem.errors import InvalidRequest
from aimem.wire import console as wanted

NODES_MAX: Final = 64
_STATUS: Final = {"ok": ExitStatus.OK, "warning": ExitStatus.OTHER, "unavailable": ExitStatus.UNAVAILABLE}


def console(context: Context) -> int:
    """Open the console, or say once what it would show."""
    request = _request(context)
    if context.value("once"):
        return _once(context, request)
    if context.wants_json:
        raise UsageError("--json goes with --once")
    if request.screenshot is None and not (context.around.stdout.isatty() and context.around.stdin.isatty()):
        raise UsageError("the console needs a terminal; say --once for an overview, or --screenshot FILE")
    context.runtime.run_console(request)
    return ExitStatus.OK


def _request(context: Context) -> wanted.ConsoleRequest:
    value = context.value
    urls = [_checked(url) for url in value("url")]
    if len(urls) > NODES_MAX:
        raise UsageError(f"{len(urls)} times --url; at most {NODES_MAX} nodes are looked at")
    if urls:
        doors = tuple(wanted.DoorIn(name=url, url=url) for url in dict.fromkeys(urls))
    else:
        socket = str(context.runtime.find_socket(context.config))
        doors = (wanted.DoorIn(name=str(context.config.store.db), socket=socket),)
    if value("client_key") and not value("client_cert"):
        raise UsageError("--client-key needs --client-cert")
    files = {name: value(name) and str(context.path(value(name)))
             for name in ("ca_cert", "client_cert", "client_key", "screenshot")}
    key = value("key") or context.config.identity.agent_key or context.config.api.api_key
    return wanted.ConsoleRequest(
        doors=doors, key=key, agent_id=context.agent_id(), screen=value("screen"), theme=value("colours") or "", **files
    )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
        parts = urlsplit("")
    if not is_address or parts.path not in ("", "/") or parts.query or parts.username:
        raise InvalidRequest(
            f"{url!r} is no address of a node; write http://HOST:PORT or https://HOST:PORT", field="url")
    return f"{parts.scheme}://{parts.netloc}"


def _once(context: Context, request: wanted.ConsoleRequest) -> int:
    overview = context.runtime.run_overview(request)
    if context.wants_json:
        context.screen.json(overview)
    else:
        _show(context, overview)
    return _STATUS[overview.verdict]


def _show(context: Context, overview: wanted.ConsoleOverview) -> None:
    screen, quorum = context.screen, overview.quorum
    rows = [
        (node.node, node.state, _number(node.rtt_ms), _number(node.ack_ms), _number(node.lag_ops), _number(node.acked),
         node.breaker or "-", _number(node.clock_offset_ms), _number(node.certificate_days_left), node.version or "-",
         node.why)
        for node in overview.nodes
    ]
    columns = ("node", "state", "rtt ms", "ack ms", "behind", "acked", "breaker", "clock ms", "cert days", "version",
               "why")
    screen.table(columns, rows)
    screen.line()
    if quorum is not None:
        screen.line(f"{quorum.reachable} of {counted(quorum.members, 'node')} reachable, "
                    f"a write waits for {quorum.writes}; {quorum.short_writes} found too few so far"
                    + (quorum.last_short and f": {quorum.last_short}"))
    if overview.pending is not None:
        screen.line(f"{overview.pending} waiting for a decision")
    for warning in overview.warnings:
        screen.say(f"warning: {warning}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
