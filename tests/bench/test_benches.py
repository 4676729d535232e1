"""Every bench runs; what it measures is not judged here, because other work shares the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem.wire import BenchReport, decode_body
from tests.bench import fold, recall, writes
from tests.system.processes import command

pytestmark = pytest.mark.slow


async def test_the_verb_measures_everything_and_prints_the_older_systems_shape(tmp_path: Path) -> None:
    options = ["--iterations", "2", "--warmup", "0", "--rows", "40", "--history", str(tmp_path / "history.jsonl")]
    done = await trio.run_process(
        command(tmp_path / "unused.db", "bench", "--json", *options), capture_stdout=True, capture_stderr=True,
        check=False,
    )
    report = decode_body(BenchReport, done.stdout)
    assert done.returncode == (0 if report.is_passed else 1), done.stderr.decode()
    assert [result.operation for result in report.results] == [
        "store_no_embedding", "search_fts", "recall_hot", "kg_query_depth1", "kg_query_depth3",
        "kg_query_depth5", "kg_timeline", "recall_40", "recall_namespace_40", "embed_question",
        "cold_help", "cold_recall_keyword", "cold_recall_semantic",
    ]
    assert [size.operation for size in report.sizes] == ["daemon_idle", "daemon_used", "bench"]
    assert all(size.measured_mb > 30 for size in report.sizes)
    assert all(result.measured_p50_ms > 0 for result in report.results)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1
    assert not (tmp_path / "unused.db").exists()


async def test_writes_are_measured_in_this_process_and_over_http() -> None:
    here, http = await writes.write_rates(3, 0.002), await writes.http_rates(3, 0.002)
    assert here.keys() == http.keys() == {1, 64}
    lines = writes.table({"store.write": here, "POST /memories": http}).splitlines()
    assert len(lines) == 3
    assert all(line.endswith("x") for line in lines[1:])


async def test_a_recall_is_split_into_its_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await recall.measure(60, 3, 5, tmp_path / "recall.db")
    first = capsys.readouterr().out
    assert "60 rows" in first
    assert "recaller.nearest" in first
    assert "store." in first
    await recall.measure(60, 3, 5, tmp_path / "recall.db")
    again = capsys.readouterr()
    assert "stored in" not in again.err
    assert len(again.out.splitlines()) == len(first.splitlines())


async def test_what_an_op_costs_is_told_by_stage() -> None:
    meter, _ = await fold.measure(0, fold.BULK, "")
    assert [line.split("  ")[0] for line in meter.table().splitlines()[:-1]] == [
        "bulk store, at its origin", "read from the log", "encode", "gzip", "gunzip", "decode",
        "take: judge, log, fold, index",
    ]
    assert meter.counted["encode"] == fold.BULK
