"""Tools and verbs reach the node by the routes of its surface alone, so that what holds for these holds for them.

Which routes each reaches is read from the code: the calls of the client that it makes, and the request that each call
of the client sends.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, get_type_hints

import httpx
import msgspec
import pytest
import trio
from msgspec import Struct

from aimem.api import ROUTES, Effect, Route
from aimem.cli.verbs import VERBS, Verb
from aimem.cli.verbs.table import within
from aimem.client import Client
from aimem.mcp import TOOLS
from aimem.mcp.tools.tool import Effect as Annotated
from tests.campaign.places import sound_value

LOCAL_VERBS: Final[Mapping[str, str]] = {
    "serve": "is the node", "mcp": "carries tools", "help": "prints", "man": "prints", "completions": "prints",
    "bench": "makes a node of its own", "bench mesh": "makes nodes of its own",
    "console": "opens a client of its own", "demo": "makes nodes of its own",
    "pki init": "writes files", "pki issue": "writes files",
    "pki remove": "writes a file", "pki fingerprint": "reads files", "pki show": "reads files",
    "backup": "copies files", "restore": "replaces files", "verify": "reads files",
    "doctor": "looks at the machine, and asks a daemon through what it is handed",
}
OF_THE_CALLER: Final = frozenset({"read", "write", "send"})
CALLS: Final = tuple(sorted(
    name for name, _ in inspect.getmembers(Client, inspect.iscoroutinefunction)
    if not name.startswith("_") and name not in OF_THE_CALLER
))


class _Sent(Exception):
    """A request was about to be sent."""

    def __init__(self, request: httpx.Request) -> None:
        super().__init__()
        self.request = request


def _stop(request: httpx.Request) -> httpx.Response:
    raise _Sent(request)


@cache
def route_of(call: str) -> Route:
    """The route that a call of the client asks."""
    method = getattr(Client, call)
    hints = get_type_hints(method)
    arguments = {
        name: _sample(hints[name]) for name, parameter in inspect.signature(method).parameters.items()
        if name != "self" and parameter.default is inspect.Parameter.empty
    }

    async def ask() -> httpx.Request:
        async with httpx.AsyncClient(transport=httpx.MockTransport(_stop), base_url="http://node") as http:
            try:
                await method(Client(http, new_key=lambda: "key"), **arguments)
            except _Sent as sent:
                return sent.request
        raise AssertionError(f"{call} sends nothing")

    request = trio.run(ask)
    path = request.url.raw_path.decode().partition("?")[0]
    # A fixed path goes before one with a variable segment, as in the router.
    for route in sorted(ROUTES, key=lambda one: one.path.count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
        if route.method == request.method and re.fullmatch(pattern, path):
            return route
    raise AssertionError(f"{call} asks {request.method} {path}, which is no route")


def _sample(kind: Any) -> Any:      # Any: types and values of arguments
    """A value of a type that a call takes."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return msgspec.convert(sound_value(kind), kind, strict=False)
    return 1 if kind is int else [] if "Sequence" in str(kind) else "word"


def calls_in(function: FunctionType) -> set[str]:
    """The calls of the client that a function makes, itself or by functions of the same room."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    left = [(function.__module__, function.__qualname__.split(".")[0])]
    while left:
        place = left.pop()
        if place in seen:
            continue
        seen.add(place)
        module = importlib.import_module(place[0])
        tree = _definitions(module).get(place[1])
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Attribute) and node.attr in CALLS and _is_client(node.value):
                found.add(node.attr)
            if isinstance(node, ast.Name):
                left += _elsewhere(module, node.id)
    return found


def _is_client(value: ast.expr) -> bool:
    return ast.unparse(value).lower().endswith(("client", "node", "source", "target"))


@cache
def _definitions(module: ModuleType) -> Mapping[str, ast.stmt]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    return {one.name: one for one in tree.body if isinstance(one, kinds)}


def _elsewhere(module: ModuleType, name: str) -> Iterator[tuple[str, str]]:
    """Where a name of the same room is defined."""
    value = getattr(module, name, None)
    home = getattr(value, "__module__", None)
    if isinstance(home, str) and home.startswith(("aimem.cli", "aimem.mcp")) and hasattr(value, "__qualname__"):
        yield home, value.__qualname__.split(".")[0]


@pytest.mark.parametrize("call", CALLS)
def test_each_call_of_the_client_asks_a_route(call: str) -> None:
    assert route_of(call) in ROUTES


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_reaches_routes_and_says_whether_it_changes_anything(name: str) -> None:
    tool = TOOLS[name]
    routes = [route_of(call) for call in calls_in(tool.handle)]  # type: ignore[arg-type]  # handlers are functions
    assert routes, "a tool that asks nothing"
    if tool.effect is Annotated.READS:
        assert [route.name for route in routes if route.effect is not Effect.READ] == []


@pytest.mark.parametrize("path", [path for top in VERBS for path, verb in within(top) if verb.run])
def test_a_verb_reaches_routes_or_needs_none(path: str) -> None:
    verb: Verb = next(verb for top in VERBS for at, verb in within(top) if at == path)
    module, _, function = verb.run.partition(":")
    calls = calls_in(getattr(importlib.import_module(f"aimem.cli.commands.{module}"), function))
    assert bool(calls) != (path in LOCAL_VERBS), calls
