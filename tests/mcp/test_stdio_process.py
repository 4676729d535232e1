"""The server as a process: what is on the wire, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from functools import partial

import pytest
import trio

pytestmark = pytest.mark.slow

PROGRAM = textwrap.dedent(
    """
    import logging, os, signal, sys, trio
    from aimem.mcp import run_mcp_on_stdio

    class Node:
        async def stats(self, *, agent_id=None):
            with trio.open_signal_receiver(signal.SIGUSR1) as signals:
                print("a stray print", flush=True)
                os.write(1, b"a stray write\\n")
                logging.warning("a log line")
                if sys.argv[1] == "when-told":
                    await anext(signals)
            return {"agent": agent_id, "stdin": sys.stdin.read()}

    trio.run(lambda: run_mcp_on_stdio(Node(), default_agent=lambda name: f"ai:{name}"))
    print("at the end")
    """
)
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "p", "version": "1"}},
}
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "memory_stats"}}


def lines(*messages: object) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def command(answer: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, answer]


async def start(answer: str, nursery: trio.Nursery) -> trio.Process:
    pipe = subprocess.PIPE
    process: trio.Process = await nursery.start(
        partial(trio.run_process, command(answer), stdin=pipe, stdout=pipe, stderr=pipe, check=False)
    )
    return process


def test_a_script_that_pipes_in_a_call_gets_its_answer_and_nothing_else():
    done = subprocess.run(
        command("at-once"), input=lines(HELLO, CALL), capture_output=True, timeout=60, check=True
    )
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["result"]["protocolVersion"] == "2024-11-05"
    assert json.loads(second["result"]["content"][0]["text"]) == {"agent": "ai:p", "stdin": ""}
    for stray in (b"a stray print", b"a stray write", b"a log line", b"at the end"):
        assert stray in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_calmly_while_the_client_holds_its_input_open(nursery, number):
    with trio.fail_after(60):
        process = await start("when-told", nursery)
        await process.stdin.send_all(lines(HELLO))
        assert b"2024-11-05" in await process.stdout.receive_some()
        await process.stdin.send_all(lines(CALL))
        while b"a log line" not in await process.stderr.receive_some():
            pass
        process.send_signal(number)
        process.send_signal(signal.SIGUSR1)
        assert b'"id":2' in await process.stdout.receive_some()
        assert await process.stdout.receive_some() == b""
        assert await process.wait() == 0


async def test_a_client_that_is_gone_ends_it_calmly(nursery):
    with trio.fail_after(60):
        process = await start("at-once", nursery)
        await process.stdin.send_all(lines(HELLO))
        assert await process.stdout.receive_some()
        await process.stdout.aclose()
        await process.stdin.send_all(lines(CALL))
        assert await process.wait() == 0


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_standard_stream_is_one_sentence(number):
    shell = ["/bin/sh", "-c", f'exec "$@" {number}{"<" if number == 0 else ">"}&-', "sh", *command("at-once")]
    done = subprocess.run(shell, input=b"", capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    if number != 2:
        assert b"InvalidRequest: stdin, stdout and stderr must be open" in done.stderr


def test_the_room_loads_without_the_sdk():
    program = "import sys, aimem.mcp; print(sorted({'mcp', 'mcp_types', 'pydantic', 'starlette'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
