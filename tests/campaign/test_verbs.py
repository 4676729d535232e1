"""Every verb of the command line on a real node, with options and arguments that no manual knows."""

from __future__ import annotations

import io
import json
import os
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import chain, count
from pathlib import Path
from typing import NoReturn, TypeVar

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from aimem.cli import Attached, ExitStatus, Purpose, Surroundings, main
from aimem.cli.parser import global_settings, server_settings
from aimem.cli.verbs import VERBS, Option, Verb
from aimem.client import Client
from aimem.config import Config, Kind
from aimem.errors import Code, Unavailable
from aimem.operations import Keeper, Pki
from aimem.ports import system_chance, system_clock, system_files
from aimem.supervisor.inprocess import InProcessTransport
from tests.campaign.places import GOOD
from tests.campaign.plan import examples
from tests.campaign.wild import IDS, hostile_texts
from tests.campaign.world import SEEDS, open_world
from tests.cli.fakes import NOW, Machine, Stream
from tests.hostile import JSON_TEXTS, TEXTS

T = TypeVar("T")

FILES = {
    "export.json": json.dumps(SEEDS).encode(), "texts.json": json.dumps(
        {"memories": [{"content": text, "title": text} for text in TEXTS.values() if len(text) < 1_000]}).encode(),
    "lines.txt": b"recall deploy\nlist --json\nget seed-one\nnonsense \xff\x00\n'\nquit\n",
    **{f"{name}.json": body for name, body in JSON_TEXTS.items()},
}
DRAWN = re.compile("\x1b\\[[0-9;?]*[A-Za-z]|\r(?=\x1b)")
"""What draws a bar on a terminal, and takes it away."""
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LEAVES = [(verb,) for verb in VERBS if verb.run] + [(verb, child) for verb in VERBS for child in verb.children]
IN_PORTIONS = frozenset({"import", "mine", "sync", "shell", "curator"})
"""Verbs that make many requests: what the earlier ones wrote stays when a later one is refused."""
BY_ITEM = frozenset({("archive", "add"), ("inbox", "read")})
"""Verbs that do what they can, and say with their status that something was not there."""
ENDLESS = frozenset({"--daemon"})
"""Options with which a verb runs until a signal."""


class NodeRuntime:
    """Effects of the command line on a node of the campaign; servers end at once, and time leaps where they wait."""

    def __init__(self) -> None:
        self.wrote = False

    @asynccontextmanager
    async def open_client(self, config: Config, purpose: Purpose) -> AsyncIterator[Attached]:
        del purpose
        db = config.store.db
        async with open_world(db) as world:
            before = await world.contents()
            transport, keys = InProcessTransport(world.app), count()
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
                client = Client(http, new_key=lambda: f"{id(self)}-{next(keys)}")
                try:
                    yield Attached(client=client, holder=True, db=db, hint="pid 7")
                finally:
                    self.wrote = not before.without_notes.is_left_by((await world.contents()).without_notes)

    def run_daemon(self, config: Config, reread: Callable[[], Config]) -> int:
        del config
        return 0

    def run_mcp(self, config: Config) -> int:
        del config
        return 0

    def run_bench(self, *given: object) -> NoReturn:
        del given
        raise Unavailable("nothing is measured here")

    run_mesh_bench = run_demo = run_doctor = run_console = run_overview = run_bench

    def find_socket(self, config: Config) -> Path:
        return Path(f"{config.store.db}.sock")

    def open_pki(self, folder: Path) -> Pki:
        return Pki(folder, system_files(), system_clock())

    def open_keeper(self, config: Config) -> Keeper:
        return Keeper(config.store.db, system_files(), system_clock(), system_chance())

    def run(self, async_fn: Callable[..., Awaitable[T]], *args: object) -> T:
        return trio.run(async_fn, *args, clock=trio.testing.MockClock(autojump_threshold=0))


class Outcome(Struct, frozen=True, kw_only=True):
    """What a command line came to."""

    status: int
    out: str
    err: str
    wrote: bool


class Desk:
    """A machine with a seeded database, and files of all kinds in its working folder."""

    def __init__(self, root: Path) -> None:
        self.machine = Machine(root)
        # A database that is not named is begun by any verb; a new one holds the seeds.
        self.environ = {**self.machine.environ, "XDG_DATA_HOME": str(root), "COLUMNS": "80"}
        (root / "ai-memory").mkdir()
        for name, body in FILES.items():
            (self.machine.cwd / name).write_bytes(body)
        (self.machine.cwd / "folder").mkdir()

    def run(self, argv: Sequence[str], stdin: bytes, *, is_terminal: bool) -> Outcome:
        """Carry out one command line."""
        runtime, out, err = NodeRuntime(), Stream(terminal=is_terminal), Stream(terminal=is_terminal)
        around = Surroundings(
            stdin=io.BytesIO(stdin), stdout=out, stderr=err, environ=self.environ, cwd=self.machine.cwd,
            home=self.machine.home, host="box one", pid=42, program=("/bin/ai-memory",), now=lambda: NOW,
            rng=lambda: random.Random(1),
        )
        status = main(argv, runtime, around)
        return Outcome(status=status, out=out.getvalue(), err=err.getvalue(), wrote=runtime.wrote)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    root = tmp_path / "machine"
    root.mkdir()
    return Desk(root)


def check(argv: Sequence[str], outcome: Outcome, *, is_terminal: bool) -> None:
    """A status that the manual has; a failure is one line in our words, no traceback, and nothing written."""
    assert outcome.status in set(ExitStatus), outcome
    assert "Traceback" not in outcome.err and "bug in ai-memory" not in outcome.err, outcome
    # Stored and given texts come from anybody: a terminal takes orders from their control characters.
    for shown in (outcome.err, outcome.out if is_terminal else ""):
        assert not CONTROL.search(DRAWN.sub("", shown)), outcome
    if outcome.status == ExitStatus.OK:
        return
    lines = DRAWN.sub("\n", outcome.err).splitlines()
    said = [line for line in lines if line.startswith(("ai-memory: ", "{"))]
    assert said and (is_terminal or said == lines), outcome
    if said[-1].startswith("{"):
        refused = json.loads(said[-1])
        assert "--json" in argv and refused["error"] and Code(refused["code"]), outcome
    assert not outcome.wrote or argv[0] in IN_PORTIONS or tuple(argv[:2]) in BY_ITEM, outcome


def as_argument(text: str) -> str:
    """What a system would hand over of such a text: bytes without zeros, of which those that are no UTF-8 stay."""
    return os.fsdecode(text.encode("utf-8", "surrogatepass").replace(b"\0", b""))


words = hostile_texts.map(as_argument)


@st.composite
def command_lines(draw: st.DrawFn, leaf: tuple[Verb, ...]) -> list[str]:
    """A verb with what it needs, most often, and anything else."""
    verb = leaf[-1]
    parts: list[list[str]] = []
    for argument in verb.arguments:
        number = {"1": 1, "?": draw(st.integers(0, 1)), "+": 2, "*": draw(st.integers(0, 2))}[argument.count]
        values = _values(argument.name, argument.choices, is_file=argument.is_file)
        parts.append([draw(values) for _ in range(number)])
    for option in verb.options:
        if option.flag not in ENDLESS and (option.required or draw(st.integers(0, 3)) == 0):
            parts.append(_given(draw, option))
    for setting in [*global_settings(), *server_settings(verb)]:
        if setting.flag and draw(st.integers(0, 11)) == 0:
            parts.append([setting.flag] if setting.kind is Kind.SWITCH else [setting.flag, draw(words)])
    if draw(st.booleans()):
        parts.append(["--json"])
    if draw(st.integers(0, 7)) == 0:
        parts.append(draw(st.lists(words | st.just("--"), max_size=2)))
    return [*(one.name for one in leaf), *chain.from_iterable(parts)]


def _given(draw: st.DrawFn, option: Option) -> list[str]:
    if option.read is None:
        return [option.flag]
    value = draw(_values(option.name, option.choices, is_file=option.is_file))
    return [f"{option.flag}={value}"] if draw(st.booleans()) else [option.flag, value]


def _values(name: str, choices: Sequence[str], *, is_file: bool) -> st.SearchStrategy[str]:
    if is_file:
        return st.sampled_from([*FILES, "folder", "missing", "-", "/dev/full", "/dev/null"]) | words
    right = st.sampled_from(list(choices) or [*IDS[:2], str(GOOD.get(name, "word")), "3"])
    return st.one_of(right, right, right, words)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: " ".join(verb.name for verb in leaf))
@examples(brief=2, full=20)
@given(data=st.data())
def test_a_verb_answers_or_refuses_whatever_it_is_given(
    desk: Desk, leaf: tuple[Verb, ...], data: st.DataObject
) -> None:
    argv = data.draw(command_lines(leaf))
    stdin = data.draw(st.sampled_from([b"", *FILES.values()]))
    is_terminal = data.draw(st.booleans())
    check(argv, desk.run(argv, stdin, is_terminal=is_terminal), is_terminal=is_terminal)


@examples(brief=20, full=300)
@given(argv=st.lists(words | st.sampled_from([verb.name for verb in VERBS]), max_size=4))
def test_words_that_are_no_command_line_are_refused(desk: Desk, argv: list[str]) -> None:
    check(argv or ["help"], desk.run(argv, b"", is_terminal=False), is_terminal=False)
