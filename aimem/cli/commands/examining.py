"""The verb doctor."""

from __future__ import annotations

from typing import Final

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.wire import doctor

_STATUS: Final = {doctor.Severity.WARNING: ExitStatus.OTHER, doctor.Severity.CRITICAL: ExitStatus.INVALID}
_SECTION_CHARS, _SEVERITY_CHARS = 15, 10
_INDENT: Final = "  "


def examine(context: Context) -> int:
    """Look what ails the node; the status says how bad it is."""
    found = context.runtime.run_doctor(context.reread, context.agent_of)
    if context.wants_json:
        context.screen.json(found)
    else:
        for section in found.sections:
            _show(context, section)
    return _STATUS.get(found.severity, ExitStatus.OK)


def _show(context: Context, section: doctor.SectionOut) -> None:
    severity = f"{section.severity:<{_SEVERITY_CHARS}}"
    context.screen.line(f"{section.section:<{_SECTION_CHARS}}{severity}{section.summary}")
    for finding in section.findings:
        _show_finding(context, finding)


def _show_finding(context: Context, finding: doctor.FindingOut) -> None:
    context.screen.sentence(f"{_INDENT}{finding.severity}: {finding.seen}")
    context.screen.sentence(f"{_INDENT}to do: {finding.remedy}")
