"""`python -m tests.quality`: the table of what recall finds, by set, mode and category."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from aimem.ports import Embedder
from aimem.search import open_minilm
from tests.quality.cached import CachingEmbedder
from tests.quality.harness import Answer, Mode, Report, measure
from tests.quality.metrics import Figures
from tests.quality.sets import SetName, load_set

COLUMNS = ("questions", "hit@1", "hit@5", "hit@10", "all@5", "MRR", "nDCG@10")


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    embedder: Embedder | None = None
    if Mode.HYBRID in options.mode:
        embedder = open_minilm(None)
        if options.vectors_cache:
            embedder = CachingEmbedder(embedder, options.vectors_cache)
    reports, details = trio.run(partial(_measure_all, options.set, options.mode, embedder))
    print("\n".join(table(reports)))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(reports), indent=2) + b"\n")
    if options.details:
        options.details.write_bytes(msgspec.json.Encoder().encode_lines(details))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--set", nargs="+", type=SetName, choices=list(SetName), default=list(SetName))
    parser.add_argument("--mode", nargs="+", type=Mode, choices=list(Mode), default=list(Mode))
    parser.add_argument("--vectors-cache", type=Path, metavar="DIR", help="keep vectors here: a second run is fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports here, as JSON")
    parser.add_argument("--details", type=Path, metavar="FILE", help="write a JSON line per question here: where the "
                        "first relevant document stood, and the first ten keys")
    return parser


async def _measure_all(
    names: Iterable[SetName], modes: Sequence[Mode], embedder: Embedder | None
) -> tuple[list[Report], list[dict[str, object]]]:
    reports, details = [], []
    for name in names:
        quality_set = load_set(name)
        for mode in modes:
            report, answers = await measure(quality_set, embedder if mode is Mode.HYBRID else None, _say)
            reports.append(report)
            details += [_detail(report, answer) for answer in answers]
    return reports, details


def _detail(report: Report, answer: Answer) -> dict[str, object]:
    question = answer.question
    return {
        "set": report.name, "mode": report.mode, "category": question.category, "question": question.text,
        "rank": answer.judged.rank, "relevant": list(question.gains), "found": list(answer.judged.ranking[:10]),
    }


def table(reports: Iterable[Report]) -> Iterator[str]:
    """The reports as aligned lines: a set's own line, then its categories."""
    yield f"{'':<36}" + "".join(f"{column:>10}" for column in COLUMNS) + f"{'p50/p95 ms':>14}"
    for report in reports:
        speed = f"{report.recall_p50_ms:.1f}/{report.recall_p95_ms:.1f}"
        yield f"{report.name + ', ' + report.mode:<36}{_cells(report.overall)}{speed:>14}"
        for category, part in report.by_category.items():
            yield f"  {category:<34}{_cells(part)}"


def _cells(figures: Figures) -> str:
    values = (figures.hit_1, figures.hit_5, figures.hit_10, figures.all_5, figures.mrr, figures.ndcg_10)
    return f"{figures.count:>10}" + "".join(f"{value:>10.1f}" for value in values)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
