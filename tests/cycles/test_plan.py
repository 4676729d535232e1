"""What is to befall the nodes, and what their machine has to have for it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.cycles import machine
from tests.cycles.__main__ import main
from tests.cycles.cycles import plan
from tests.cycles.machine import Need, lacks


def test_every_fault_comes_as_often_as_any_other() -> None:
    found = list(plan(["a", "b", "c"], 9, random.Random(1)))
    assert Counter(found) == {"a": 3, "b": 3, "c": 3}
    assert {*found[:3]} == {"a", "b", "c"}


def test_a_machine_that_lacks_something_says_what_and_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "_fake_clock", lambda: "")
    assert lacks([Need.DISK]) == "mounting a small disk (tmpfs) is for root"
    assert "Debian: nftables" in lacks([Need.NETWORK])
    with pytest.raises(SystemExit, match="2"):
        main(["--fault", "clock-ahead", "--folder", str(tmp_path)])
    assert "libfaketime is missing (Debian: faketime)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_fault_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--fault", "kill,lightning"])
    assert "no such fault: lightning" in capsys.readouterr().err
