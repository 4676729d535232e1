"""Real daemons for the console to look at: started before the test's event loop runs, ended with the test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.system.members import free_ports

START_S, END_S = 90, 30


class Daemon:
    """One daemon, by keyword, so that no model is loaded."""

    def __init__(
        self, db: Path, *words: str, port: int = 0, program: Sequence[str] = ("-m", "aimem"), **environ: str
    ) -> None:
        """Prepare; nothing is started. `program` is what Python runs."""
        self.db, self.words, self.port, self.program = db, words, port, program
        self._environ = {**os.environ, "AI_MEMORY_TIER": "keyword", **environ}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.url = ""

    @property
    def socket(self) -> str:
        return f"{self.db}.sock"

    def start(self) -> None:
        """Start it, and wait until it serves."""
        command = (sys.executable, *self.program, "--db", str(self.db), "serve", "--port", str(self.port), *self.words)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                                   env=self._environ)
        self._process = process
        assert process.stderr is not None
        patience = threading.Timer(START_S, process.kill)
        patience.start()
        said = []
        for line in process.stderr:
            said.append(line)
            if "listening on" in line:
                self.url = line.split("listening on ")[1].split()[0].rstrip("/")
                break
        patience.cancel()
        assert self.url, "".join(said)
        self._reader = threading.Thread(target=process.stderr.read)     # so that it never waits for us to read
        self._reader.start()

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(END_S)
            if self._reader is not None:
                self._reader.join(END_S)
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def ask(self, method: str, path: str, body: object = None, agent: str = "ai:planner", **headers: str) -> Any:
        """One request from outside; the answer's JSON. A 202 is an answer."""
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-Agent-Id": agent, **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None


@contextlib.contextmanager
def serving(daemons: Sequence[Daemon]) -> Iterator[Sequence[Daemon]]:
    """Daemons that serve, for the time of a block."""
    try:
        starts = [threading.Thread(target=daemon.start) for daemon in daemons]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        assert all(daemon.url for daemon in daemons)
        yield daemons
    finally:
        for daemon in daemons:
            daemon.end()


@contextlib.contextmanager
def meshed(folder: Path, count: int, **environ: str) -> Iterator[Sequence[Daemon]]:
    """A mesh of daemons, with W of 2."""
    ports = free_ports(count)
    daemons = []
    for number, port in enumerate(ports):
        peers = ",".join(f"http://127.0.0.1:{other}" for other in ports if other != port)
        words = ("--quorum-peers", peers, "--quorum-writes", "2", "--node-name", f"n{number}",
                 "--catchup-interval-secs", "1", "--quorum-timeout-ms", "30000")
        daemons.append(Daemon(folder / f"n{number}.db", *words, port=port, **environ))
    with serving(daemons):
        deadline = time.monotonic() + START_S
        # Each answers once it has asked the others, who may have been too busy for that.
        while not all(_hears_all(daemon) for daemon in daemons):
            assert time.monotonic() < deadline, [daemon.ask("GET", "/mesh") for daemon in daemons]
        yield daemons


def _hears_all(daemon: Daemon) -> bool:
    return all(peer["state"] == "reachable" for peer in daemon.ask("POST", "/mesh")["peers"])
