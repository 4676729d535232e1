"""Verbs that stay: serve and mcp."""

from __future__ import annotations

import signal

import msgspec

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.config import SETTINGS, VARIABLES, Kind


def serve(context: Context) -> int:
    """Run the daemon until told to stop."""
    # Until its own handler is there: whoever changes a file says so without looking whether it has started yet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    context.say_notices()
    return context.runtime.run_daemon(context.config, context.reread)


def mcp(context: Context) -> int:
    """Speak MCP until the client is done, or print what to paste into its configuration."""
    if context.value("print_config"):
        context.screen.line(client_configuration(context))
        return ExitStatus.OK
    context.say_notices()
    if context.around.stdin.isatty():
        context.screen.say(
            "this speaks MCP on standard input, for a client that starts it (see --print-config); Ctrl-C ends it")
    return context.runtime.run_mcp(context.config)


def client_configuration(context: Context) -> str:
    """The JSON for an MCP client's configuration file.

    Paths are absolute, because the client starts us in a folder of its own. The database is always named: otherwise
    each folder with an ai-memory.db would be another memory. Secrets are left out: over the socket none is needed.
    """
    command, *prefix = context.around.program
    args = [*prefix, "--db", str(context.config.store.db)]
    settings = context.parsed.settings
    if config_file := settings.get("config"):
        args += ["--config", str(context.around.cwd / str(config_file))]
    if agent_id := settings.get("agent_id"):
        args += ["--agent-id", str(agent_id)]
    args.append("mcp")
    if tier := settings.get("tier"):
        args += ["--tier", str(tier)]
    if profile := settings.get("mcp_profile"):
        args += ["--profile", str(profile)]
    server: dict[str, object] = {"command": command, "args": args}
    if environ := _carried_variables(context):
        server["env"] = environ
    text = msgspec.json.format(msgspec.json.encode({"mcpServers": {"ai-memory": server}}), indent=2)
    return text.decode()


def _carried_variables(context: Context) -> dict[str, str]:
    """Our variables that are set here and would else be missing where the client starts us."""
    around = context.around
    kinds = {setting.variable: setting.kind for setting in SETTINGS if setting.key != "db"}
    kinds |= {variable.name: Kind.TEXT for variable in VARIABLES} | {"AI_MEMORY_CONFIG": Kind.PATH}
    return {
        name: str(around.cwd / value) if kind is Kind.PATH and value and not value.startswith("~") else value
        for name, kind in kinds.items()
        if kind is not Kind.SECRET and (value := around.environ.get(name)) is not None
    }
