"""A report as text."""

from __future__ import annotations

from tests.endurance.life import RATIO_MAX, Report

MIB = 1 << 20


def table_of(report: Report) -> str:
    """Per node and table, in MiB, the largest first; and what that is against live data."""
    names = list(report.sizes)
    columns = [*report.sizes.values(), report.live]
    done = ", ".join(f"{count} {what}" for what, count in report.done.items())
    told = (
        f"{sum(report.done.values())} writes of objects ({done}) in {report.dots} ops, {report.took_s:.0f} s, "
        f"{report.peak_rss_bytes / MIB:.0f} MiB of memory at most for {len(names)} nodes"
    )
    lines = [
        told,
        f"{'MiB':<24}" + "".join(f"{name:>10}" for name in (*names, "live data")),
    ]
    tables = {table for found in report.sizes.values() for table in found.tables}
    largest = {table: max(found.tables.get(table, 0) for found in report.sizes.values()) for table in tables}
    for table in sorted(tables, key=lambda table: (-largest[table], table)):
        if largest[table] >= MIB // 20:
            lines.append(_row(f"  {table}", [found.tables.get(table, 0) for found in columns]))
    lines.append(_row("free pages", [found.free for found in columns]))
    lines.append(_row("file", [found.file for found in columns]))
    lines.append(_row("write-ahead log", [found.wal for found in columns]))
    lines.append(f"{'ops in the log':<24}" + "".join(f"{report.ops[name]:>10}" for name in names))
    ratios = [report.ratio(name) for name in names]
    lines.append(f"{'ratio':<24}" + "".join(f"{ratio:>10.2f}" for ratio in ratios) + f"   bound {RATIO_MAX}")
    return "\n".join(lines)


def _row(name: str, values: list[int]) -> str:
    return f"{name:<24}" + "".join(f"{value / MIB:>10.2f}" for value in values)
