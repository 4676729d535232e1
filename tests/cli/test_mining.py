"""`ai-memory mine`: other programs' conversations, dated, whole, and once."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimem.cli import ExitStatus
from aimem.cli.mining import Conversation, Manner, Message, Problem, Shape, memories_of, open_files, read_conversations
from aimem.model import Instant, rules
from aimem.wire import ImportMemory
from tests.cli.real import RealMachine
from tests.nodes import START

NOW = START
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "near", "the", "river", "at", "dawn"]


@pytest.fixture
def machine(tmp_path: Path) -> RealMachine:
    return RealMachine(tmp_path)


def chatgpt(name: str, turns: list[tuple[str, str]], *, title: str = "A talk", begun: float = 1.7e9) -> dict[str, Any]:
    """A conversation as ChatGPT exports it: a root, a system message, then the turns in one line."""
    mapping: dict[str, Any] = {"root": {"parent": None, "message": None}, "sys": {"parent": "root", "message": {
        "id": "sys", "author": {"role": "system"}, "create_time": None, "content": {"parts": ["be good"]}}}}
    parent = "sys"
    for number, (role, text) in enumerate(turns):
        key = f"{name}-{number}"
        mapping[key] = {"parent": parent, "message": {
            "id": key, "author": {"role": role}, "create_time": begun + number,
            "content": {"content_type": "text", "parts": [text]}}}
        parent = key
    return {"id": name, "title": title, "create_time": begun, "current_node": parent, "mapping": mapping}


def talk(count: int, *, words: int = 8) -> list[tuple[str, str]]:
    return [("user" if n % 2 == 0 else "assistant", f"{n}: " + " ".join(WORDS[(n + i) % 14] for i in range(words)))
            for n in range(count)]


def write(folder: Path, conversations: list[dict[str, Any]], name: str = "conversations.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(conversations))
    return path


def found(kind: str, path: Path) -> list[Conversation]:
    read = [one for one, _ in read_conversations(kind, open_files(path))]
    assert not [one for one in read if isinstance(one, Problem)]
    return [one for one in read if isinstance(one, Conversation)]


def problems(kind: str, path: Path) -> list[str]:
    return [one.reason for one, _ in read_conversations(kind, open_files(path)) if isinstance(one, Problem)]


def all_memories(machine: RealMachine) -> list[dict[str, Any]]:
    memories: list[dict[str, Any]] = json.loads(machine.run("export").out)["memories"]
    return memories


# Through the whole program --------------------------------------------------------------------------------------------


def test_a_chatgpt_export_of_ten_thousand_messages_mined_twice_gives_one_set(machine: RealMachine) -> None:
    conversations = [chatgpt(f"c{n}", talk(900), title=f"Talk {n % 3}") for n in range(10)]
    conversations.append(chatgpt("long", talk(1000, words=40), title="Talk 0"))
    path = write(machine.cwd, conversations)
    first = machine.json("mine", "--format", "chatgpt", str(path))
    assert (first["total_conversations"], first["errors"], first["skipped"]) == (11, 0, 0)
    memories = all_memories(machine)
    assert first["imported"] == len(memories) > 11
    assert all(len(memory["content"].encode()) <= rules.CONTENT_MAX_BYTES for memory in memories)
    whole = sorted(line for memory in memories for line in memory["content"].split("\n"))
    assert whole == sorted(
        f"[{role}]: {text}" for n in range(11) for role, text in (talk(900) if n < 10 else talk(1000, words=40)))
    again = machine.json("mine", "--format", "chatgpt", str(path))
    assert (again["imported"], again["unchanged"], again["errors"]) == (0, len(memories), 0)
    assert all_memories(machine) == memories


def test_what_is_mined_is_dated_tagged_and_lives_from_now(machine: RealMachine) -> None:
    path = write(machine.cwd, [chatgpt("c", talk(4), title=" A\ttalk ", begun=1_600_000_000.25)])
    report = machine.json("mine", "-f", "chatgpt", str(path))
    assert report == {
        "imported": 1, "skipped": 0, "errors": 0, "total_conversations": 1, "namespace": "chatgpt-export",
        "tier": "mid", "updated": 0, "unchanged": 0, "deleted_before": 0, "refused": []}
    (memory,) = all_memories(machine)
    assert memory["title"] == "A talk"
    assert memory["content"].startswith("[user]: 0: the quick")
    assert (memory["source"], memory["tags"], memory["confidence"], memory["priority"], memory["tier"]) == (
        "mine-chatgpt", ["mine-chatgpt"], 0.8, 5, "mid")
    assert memory["created_at"] == "2020-09-13T12:26:40.250000Z"
    assert memory["updated_at"] == "2020-09-13T12:26:43.250000Z"
    assert memory["expires_at"].startswith("2027-01-22T08:00:00")
    assert memory["metadata"] == {
        "agent_id": "tester", "mined_from": "chatgpt", "conversation_id": "c", "part": 1, "messages": 4}


def test_a_conversation_that_grew_changes_its_last_part_and_adds_more_even_if_it_was_touched_since(
    machine: RealMachine
) -> None:
    path = write(machine.cwd, [chatgpt("c", talk(1200, words=12)), chatgpt("d", talk(5))])
    assert machine.json("mine", "-f", "chatgpt", str(path))["imported"] == 3
    before = {memory["id"]: memory for memory in all_memories(machine)}
    machine.clock.advance(3600)
    for memory in before.values():
        # What is recalled often is promoted, which counts as a change of today.
        machine.json("update", memory["id"], "--tier", "long")
    write(machine.cwd, [chatgpt("d", talk(5)), chatgpt("c", talk(3000, words=12))])
    report = machine.json("mine", "-f", "chatgpt", str(path))
    after = {memory["id"]: memory for memory in all_memories(machine)}
    assert (report["imported"], report["updated"], report["unchanged"]) == (len(after) - 2, 1, 2)
    changed = [key for key in before if before[key]["content"] != after[key]["content"]]
    assert [before[key]["metadata"]["part"] for key in changed] == [2]
    text = "\n".join(memory["content"] for memory in sorted(
        (memory for memory in after.values() if memory["metadata"]["conversation_id"] == "c"),
        key=lambda memory: memory["metadata"]["part"]))
    assert text == "\n".join(f"[{role}]: {said}" for role, said in talk(3000, words=12))
    write(machine.cwd, [chatgpt("c", talk(1200, words=12))])
    assert machine.json("mine", "-f", "chatgpt", str(path))["imported"] == 0
    assert {memory["id"]: memory for memory in all_memories(machine)} == after


def test_conversations_of_one_title_stay_apart_also_beside_memories_of_that_title(machine: RealMachine) -> None:
    machine.json("store", "-n", "chatgpt-export", "-T", "New chat", "-c", "mine already")
    path = write(machine.cwd, [chatgpt(name, talk(3), title="New chat") for name in "abc"])
    for imported in (3, 0):
        assert machine.json("mine", "-f", "chatgpt", str(path))["imported"] == imported
        titles = [memory["title"] for memory in all_memories(machine)]
        assert len(set(titles)) == 4
        assert titles.count("New chat") == 1


def test_what_was_deleted_or_archived_here_is_not_mined_again(machine: RealMachine) -> None:
    path = write(machine.cwd, [chatgpt(name, talk(3)) for name in "abc"])
    machine.json("mine", "-f", "chatgpt", str(path))
    one, other, _ = [memory["id"] for memory in all_memories(machine)]
    machine.json("delete", one)
    machine.json("archive", "add", other)
    report = machine.json("mine", "-f", "chatgpt", str(path))
    assert (report["imported"], report["unchanged"], report["deleted_before"], report["errors"]) == (0, 2, 1, 0)
    assert len(all_memories(machine)) == 1


def test_each_turn_may_be_a_memory_of_its_own(machine: RealMachine) -> None:
    path = write(machine.cwd, [chatgpt("c", [*talk(4), ("assistant", "x" * 70_000)])])
    for imported in (6, 0):
        assert machine.json("mine", "-f", "chatgpt", "--per-turn", "-n", "a/b", str(path))["imported"] == imported
    memories = all_memories(machine)
    assert [(memory["metadata"]["turn"], memory["metadata"]["role"]) for memory in memories] == [
        (1, "user"), (2, "assistant"), (3, "user"), (4, "assistant"), (5, "assistant"), (5, "assistant")]
    assert memories[0]["content"] == talk(1)[0][1]
    assert "".join(memory["content"] for memory in memories[4:]) == "x" * 70_000
    assert {memory["metadata"]["conversation_id"] for memory in memories} == {"c"}
    assert memories[2]["created_at"] == "2023-11-14T22:13:22.000000Z"


def test_a_dry_run_changes_nothing_and_says_what_would_come(machine: RealMachine) -> None:
    path = write(machine.cwd, [chatgpt("a", talk(3), title="A"), chatgpt("b", talk(2))])
    report = machine.json("mine", "-f", "chatgpt", "--dry-run", str(path))
    assert (report["dry_run"], report["would_import"], report["imported"], report["filtered"]) == (True, 1, 0, 1)
    assert (report["skipped"], report["total_conversations"]) == (1, 2)
    (shown,) = report["memories"]
    assert (shown["title"], shown["messages"], shown["source"]) == ("A", 3, "mine-chatgpt")
    assert all_memories(machine) == []
    assert "would mine: 1 memory of 2 conversations, 1 too short" in machine.run(
        "mine", "-f", "chatgpt", "--dry-run", str(path)).out


@pytest.mark.parametrize("argv", [
    ("mine", "x.json"), ("mine", "-f", "aol", "x.json"), ("mine", "-f", "claude", "missing.json"),
    ("mine", "-f", "claude", "--min-messages", "-1", "empty.json"), ("mine", "-f", "slack", "empty.json"),
    ("mine", "-f", "claude", "folder"), ("mine", "-f", "claude", "broken.zip"), ("mine", "-f", "claude", "number.json"),
    ("mine", "-f", "chatgpt", "cut.json"), ("mine", "-f", "claude", "empty.json"),
    ("mine", "-f", "claude", "/dev/zero"), ("mine", "-f", "claude", "pipe"), ("mine", "-f", "claude", "leading-out"),
], ids=" ".join)
def test_what_cannot_be_mined_is_refused_with_a_sentence(machine: RealMachine, argv: tuple[str, ...]) -> None:
    (machine.cwd / "empty.json").write_text("")
    (machine.cwd / "number.json").write_text("5")
    (machine.cwd / "cut.json").write_text('[{"mapping": {')
    (machine.cwd / "folder").mkdir()
    (machine.cwd / "leading-out").mkdir()
    (machine.cwd / "outside.json").write_text("[]")
    (machine.cwd / "leading-out" / "conversations.json").symlink_to(machine.cwd / "outside.json")
    os.mkfifo(machine.cwd / "pipe")
    (machine.cwd / "broken.zip").write_bytes(b"PK\x05\x06" + b"\x00" * 30)
    done = machine.run(*argv)
    assert done.status == ExitStatus.INVALID, (done.out, done.err)
    assert "ai-memory: error: " in done.err
    assert "bug" not in done.err
    assert "run the same command again" not in done.err


def test_an_export_of_another_format_is_noted(machine: RealMachine) -> None:
    path = write(machine.cwd, [chatgpt("c", talk(4))])
    done = machine.run("mine", "-f", "claude", str(path))
    assert "looks like an export of chatgpt, read as one of claude" in done.err
    assert "looks like" not in machine.run("mine", "-f", "chatgpt", str(path)).err


def test_bad_conversations_are_named_and_the_others_kept(machine: RealMachine) -> None:
    path = machine.cwd / "conversations.json"
    deep = "[" * 2000 + "]" * 2000
    bad = ['{"title": "no mapping"}', '{"mapping": 5}', '{"mapping": {"a": 5}}', "5", '{"mapping": {}}', deep]
    good = json.dumps(chatgpt("good", talk(3)))
    path.write_text(f"[{', '.join([*bad, good])}]")
    done = machine.run("--json", "mine", "-f", "chatgpt", str(path))
    report = json.loads(done.out)
    assert (done.status, report["imported"], report["errors"], report["skipped"]) == (ExitStatus.INVALID, 1, 5, 1)
    assert all("conversations.json: conversation " in reason for reason in report["refused"])


# Formats --------------------------------------------------------------------------------------------------------------


def test_only_the_branch_that_was_open_last_is_what_was_said(tmp_path: Path) -> None:
    one = chatgpt("c", [("user", "first"), ("assistant", "answer"), ("user", "rephrased")])
    one["mapping"]["other"] = {"parent": "c-0", "message": {
        "author": {"role": "assistant"}, "create_time": 1.7e9 + 50, "content": {"parts": ["another answer"]}}}
    (read,) = found("chatgpt", write(tmp_path, [one]))
    assert [message.text for message in read.messages] == ["first", "answer", "rephrased"]
    one["current_node"] = "other"
    (read,) = found("chatgpt", write(tmp_path, [one]))
    assert [message.text for message in read.messages] == ["first", "another answer"]
    del one["current_node"]     # the latest message then says which
    (read,) = found("chatgpt", write(tmp_path, [one]))
    assert [message.text for message in read.messages] == ["first", "another answer"]
    for node in one["mapping"].values():
        node["parent"] = None   # no tree at all: by time
    (read,) = found("chatgpt", write(tmp_path, [one]))
    assert [message.text for message in read.messages] == ["first", "answer", "rephrased", "another answer"]
    one["mapping"]["c-0"]["parent"] = "c-1"
    one["mapping"]["c-1"]["parent"] = "c-0"
    (read,) = found("chatgpt", write(tmp_path, [one]))
    assert {message.text for message in read.messages} <= {"first", "answer", "rephrased", "another answer"}


@pytest.mark.parametrize(("content", "text"), [
    ({"parts": ["a", "", "b"]}, "a\nb"), ({"content_type": "code", "text": "1+1"}, "1+1"), ("plain", "plain"),
    ({"parts": [{"content_type": "image_asset_pointer", "asset_pointer": "x"}, "look"]}, "[image_asset_pointer]\nlook"),
    ({"parts": [{"text": "spoken"}]}, "spoken"), ({"parts": None}, None), (None, None), (5, None),
    ({"parts": [5]}, None),
])
def test_the_content_of_a_message_in_whatever_form(tmp_path: Path, content: object, text: str | None) -> None:
    one = chatgpt("c", [("user", "x")])
    one["mapping"]["c-0"]["message"]["content"] = content
    (read,) = found("chatgpt", write(tmp_path, [one]))
    assert [message.text for message in read.messages] == ([] if text is None else [text])


@pytest.mark.parametrize(("time", "at"), [
    (1_700_000_000, 1_700_000_000_000_000), (1_700_000_000.5, 1_700_000_000_500_000),
    ("1700000000.000100", 1_700_000_000_000_100),
    ("2023-11-14T22:13:20Z", 1_700_000_000_000_000), ("2023-11-14T22:13:20.5", 1_700_000_000_500_000),
    ("2023-11-14T23:13:20+01:00", 1_700_000_000_000_000), (None, None), ("soon", None), (-5, None), (True, None),
    (1e300, None), ([], None), ("1" * 400, None),
])
def test_times_in_whatever_form(tmp_path: Path, time: object, at: int | None) -> None:
    one = chatgpt("c", [("user", "x")])
    one["create_time"] = time
    (read,) = found("chatgpt", write(tmp_path, [one]))
    assert read.created_at == at


CLAUDE: list[dict[str, Any]] = [
    {"uuid": "u1", "name": "First", "created_at": "2024-01-01T00:00:00Z", "chat_messages": [
        {"uuid": "m1", "sender": "human", "text": "hi", "created_at": "2024-01-01T00:00:01Z"},
        {"sender": "assistant", "timestamp": 1.7e9,
         "content": [{"type": "text", "text": "hello"}, {"type": "tool_use"}]},
        {"role": "user", "content": "more"}, {"sender": "human", "text": " "}]},
    {"uuid": "u2", "name": "", "mapping": {"a": {"message": {"author": {"role": "user"}, "content": "in a tree"}}}},
]


@pytest.mark.parametrize("form", ["lines", "list", "pretty", "zip", "folder"])
def test_claude_conversations_in_every_form_of_file(tmp_path: Path, form: str) -> None:
    lines = "\n".join(map(json.dumps, CLAUDE))
    path = tmp_path / "export.jsonl"
    if form == "lines":
        path.write_text("\ufeff" + lines + "\n\n")
    elif form in ("list", "pretty"):
        path = write(tmp_path, CLAUDE, "data.json")
        path.write_text(json.dumps(CLAUDE, indent=2 if form == "pretty" else None))
    elif form == "zip":
        path = tmp_path / "export.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("data/conversations.json", json.dumps(CLAUDE))
            packed.writestr("data/users.json", "[]")
    else:
        path = tmp_path / "folder"
        path.mkdir()
        write(path, CLAUDE)
        write(path, [], "projects.json")
    first, second = found("claude", path)
    assert (first.id, first.title, first.created_at) == ("u1", "First", 1_704_067_200_000_000)
    assert [(message.role, message.text) for message in first.messages] == [
        ("user", "hi"), ("assistant", "hello\n[tool_use]"), ("user", "more")]
    assert [message.at for message in first.messages] == [1_704_067_201_000_000, 1_700_000_000_000_000, None]
    assert [message.text for message in second.messages] == ["in a tree"]


def test_slack_channels_are_conversations_with_the_names_of_people(machine: RealMachine) -> None:
    export = machine.cwd / "slack"
    for channel, days in {"general": 2, "random": 1}.items():
        (export / channel).mkdir(parents=True)
        for day in range(days):
            begun = 1_700_000_000 + day * 86_400
            messages = [{"user": "U1", "text": f"{channel} {day} {n}", "ts": f"{begun + n}.000100"} for n in (1, 0, 2)]
            (export / channel / f"2023-11-1{4 + day}.json").write_text(json.dumps([*messages, {"text": ""}]))
    (export / "general" / "2023-11-19.json").write_text("[5]")
    (export / "users.json").write_text(json.dumps([{"id": "U1", "real_name": "Ada L."}]))
    with zipfile.ZipFile(machine.cwd / "slack.zip", "w") as packed:
        for path in export.rglob("*.json"):
            packed.write(path, f"top/{path.relative_to(export)}")
    done = machine.run("--json", "mine", "-f", "slack", str(export))
    report = json.loads(done.out)
    assert (done.status, report["imported"], report["errors"], report["total_conversations"]) == (2, 2, 1, 2)
    assert "general/2023-11-19.json: " in report["refused"][0]
    memories = {memory["title"]: memory for memory in all_memories(machine)}
    assert memories["#general"]["content"].split("\n")[:2] == ["[Ada L.]: general 0 0", "[Ada L.]: general 0 1"]
    assert memories["#general"]["created_at"] == "2023-11-14T22:13:20.000100Z"
    again = json.loads(machine.run("--json", "mine", "-f", "slack", str(machine.cwd / "slack.zip")).out)
    assert (again["imported"], again["unchanged"]) == (0, 2)


def test_texts_that_no_memory_may_hold_are_mended_not_lost(machine: RealMachine) -> None:
    path = machine.cwd / "conversations.json"
    one = chatgpt("c", [("user", "ab\x00c"), ("assistant", "half ITS of an emoji"), ("user", "x")], title="\x1b[31mred")
    path.write_text(json.dumps([one]).replace("ITS", "\\ud83d"))
    assert machine.json("mine", "-f", "chatgpt", str(path))["imported"] == 1
    (memory,) = all_memories(machine)
    assert memory["content"] == "[user]: ab\ufffdc\n[assistant]: half \ufffd of an emoji\n[user]: x"
    assert memory["title"] == "\ufffd[31mred"


# Parts ----------------------------------------------------------------------------------------------------------------

MESSAGES = st.lists(st.builds(
    Message, role=st.sampled_from(["user", "assistant", "", "r" * 300]), id=st.none(),
    text=st.text(min_size=1, max_size=30).filter(str.strip) | st.sampled_from(
        ["x" * 65_536, "é" * 40_000, "\U0001f600" * 33_000, "word " * 20_000]),
    at=st.none() | st.integers(1, NOW + 10**15).map(Instant)), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MESSAGES, st.sampled_from(Shape), st.text(max_size=600))
def test_parts_hold_everything_within_the_bounds_of_memories(
    messages: list[Message], shape: Shape, title: str
) -> None:
    def parts(said: list[Message]) -> list[ImportMemory]:
        conversation = Conversation(id="c", title=title, created_at=None, messages=iter(said))
        manner = Manner(kind="claude", namespace="n", tier="mid", min_messages=1, shape=shape, now=NOW)
        made: Iterator[ImportMemory] | None = memories_of(conversation, manner)
        return [] if made is None else list(made)

    made = parts(messages)
    for memory in made:
        assert rules.content(memory.content) and rules.title(memory.title or "") and rules.memory_id(memory.id or "")
    assert len({memory.id for memory in made}) == len(made)
    joined = "".join(memory.content for memory in made)
    for char in "x\u00e9\U0001f600":
        assert joined.count(char) == sum(message.text.count(char) for message in messages)
    # A conversation that grows keeps every part but the last as it was.
    if len(messages) > 1:
        before = parts(messages[:-1])
        assert [memory.content for memory in made[: len(before) - 1]] == [memory.content for memory in before[:-1]]
        assert [memory.id for memory in made[: len(before)]] == [memory.id for memory in before]
        if before and shape is Shape.CONVERSATION:
            assert made[len(before) - 1].content.startswith(before[-1].content)
