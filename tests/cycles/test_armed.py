"""A process ends where it was armed to, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from tests.cycles.armed import Trigger, after, before


def test_a_trigger_ends_the_process_the_time_that_its_file_says_and_takes_the_file_away(tmp_path: Path) -> None:
    ends, file = list[str](), tmp_path / "armed"
    trigger = Trigger(file, lambda: ends.append("end"))
    trigger.reach("here")
    file.write_text("here 2 0")
    trigger.reach("there")
    trigger.reach("here")
    assert not ends
    trigger.reach("here")
    assert ends == ["end"]
    assert not file.exists()
    trigger.reach("here")
    assert ends == ["end"]


async def test_functions_say_when_they_begin_and_when_they_ended() -> None:
    class Owner:
        def add(self, one: int) -> int:
            said.append("runs")
            return one + 1

        async def ask(self) -> str:
            return "answer"

    said: list[object] = []
    before(Owner, "add", lambda: said.append("before"))
    after(Owner, "add", lambda args, result: said.append((args[1:], result)))
    after(Owner, "ask", lambda _, result: said.append(result))
    assert Owner().add(1) == 2
    assert await Owner().ask() == "answer"
    assert said == ["before", "runs", ((1,), 2), "answer"]
