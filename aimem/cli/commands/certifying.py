"""The verb pki: an authority of one's own, and certificates."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.runtime import Pki
from aimem.cli.text import counted
from aimem.wire import pki

_WIDTH: Final = 78
"""A command line is divided so that its lines fit into so many columns, and can be copied out of a terminal or a mail.

One word may be longer, such as the addresses of many nodes.
"""


def init(context: Context) -> int:
    """Make an authority."""
    value = context.value
    made = _folder(context).init(
        pki.InitRequest(name=value("name"), days=value("days"), replaces=value("force"))
    )
    if context.wants_json:
        context.screen.json(made)
        return ExitStatus.OK
    certificate, key = _near(context, made.certificate), _near(context, made.key)
    context.screen.line(f"{certificate}  {made.subject}, until {made.not_after[:10]}")
    context.screen.line(f"{key}  its key; whoever has it can make certificates: it goes to no node")
    _warn(context, made.warnings)
    context.screen.say(f"next, for each node: ai-memory pki issue --name NAME{_dir_words(context)}")
    return ExitStatus.OK


def issue(context: Context) -> int:
    """Make a certificate, and say what has to go where."""
    value = context.value
    made = _folder(context).issue(pki.IssueRequest(
        name=value("name"), dns=tuple(value("dns")), addresses=tuple(value("ip")), days=value("days"),
        renews=value("renew"),
    ))
    if context.wants_json:
        context.screen.json(made)
        return ExitStatus.OK
    line = context.screen.line
    certificate, key, ca, allowlist = (
        _near(context, path) for path in (made.certificate, made.key, made.ca, made.allowlist)
    )
    line(f"{certificate}  for {', '.join(made.names)}, until {made.not_after[:10]}")
    line(f"{key}  its key: to {made.name}, and to nobody else")
    line(f"{allowlist}  has {made.fingerprint}")
    line()
    line(f"Copy to {made.name}:")
    line("  " + shlex.join([certificate, key, ca, allowlist]))
    line("Copy to every other node, then send SIGHUP to its daemon:")
    line("  " + shlex.join([allowlist]))
    if made.replaced is None:
        line(f"Start {made.name} where its files are (--quorum-peers has the addresses of all others):")
        for part in _divided(made.serve):
            line(part)
    else:
        line(f"Once they have it, send SIGHUP to the daemon of {made.name}; then take the one before off the list:")
        line(f"  ai-memory pki remove {made.name} --replaced{_dir_words(context)}")
    _warn(context, made.warnings)
    return ExitStatus.OK


def remove(context: Context) -> int:
    """Take a node off the list."""
    request = pki.RemoveRequest(name=context.value("name"), replaced_only=context.value("replaced"))
    done = _folder(context).remove(request)
    if context.wants_json:
        context.screen.json(done)
        return ExitStatus.OK
    for fingerprint in done.removed:
        context.screen.line(f"{fingerprint}  {done.name}")
    context.screen.say(
        f"{counted(len(done.removed), 'fingerprint')} taken off {_near(context, done.allowlist)}, {done.left} left; "
        "copy it to every node and send SIGHUP to its daemon"
    )
    if not done.left:
        context.screen.say("warning: the list is empty: no daemon starts with it")
    return ExitStatus.OK


def fingerprint(context: Context) -> int:
    """Print the fingerprint of the certificate that each file shows to others; an authority's is for no list."""
    found = [certificates[0] for certificates in _asked_for(context)]
    if not context.value("file"):
        found = [one for one in found if one.kind == "node"]
    if context.wants_json:
        context.screen.json(found)
        return ExitStatus.OK
    for one in found:
        context.screen.line(f"{one.fingerprint}  # {_near(context, one.file)}")
    return ExitStatus.OK


def show(context: Context) -> int:
    """Show what certificates say."""
    found = [one for certificates in _asked_for(context) for one in certificates]
    if context.wants_json:
        context.screen.json(found)
        return ExitStatus.OK
    for number, one in enumerate(found):
        if number:
            context.screen.line()
        _show(context, one)
    for one in found:
        _warn(context, [f"{_near(context, one.file)}: {warning}" for warning in one.warnings])
    return ExitStatus.OK


def _show(context: Context, one: pki.CertificateOut) -> None:
    left = f"{counted(one.days_left, 'day')} left" if one.days_left >= 0 else "ended"
    lines = {
        "  subject": one.subject, "  signed by": "itself" if one.issuer == one.subject else one.issuer,
        "  names": ", ".join(one.names) or "-",
        "  holds": f"{one.not_before[:10]} to {one.not_after[:10]}, {left}", "  fingerprint": one.fingerprint,
    }
    kind = "an authority" if one.kind == "authority" else "of a node"
    context.screen.line(f"{_near(context, one.file)}  {kind}")
    for name, text in lines.items():
        context.screen.line(f"{name + ':':<16}{text}")


def _asked_for(context: Context) -> list[tuple[pki.CertificateOut, ...]]:
    """The certificates of each file that is named, or else those of the folder."""
    folder, files = _folder(context), context.value("file")
    if files:
        return [folder.read(context.path(file)) for file in files]
    return [(one,) for one in folder.read_all()]


def _folder(context: Context) -> Pki:
    return context.runtime.open_pki(context.path(context.value("dir")))


def _near(context: Context, path: str) -> str:
    """A path as it is said from here."""
    here = context.around.cwd
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _dir_words(context: Context) -> str:
    """The option that names the folder again, if it is not the usual one."""
    folder = context.value("dir")
    return "" if folder == "pki" else f" --dir {shlex.quote(folder)}"


def _divided(words: Sequence[str]) -> list[str]:
    """A command line as lines of a shell, divided before options, whose values stay with them if they fit."""
    lines, end = ["  " + words[0]], " \\"
    for number, word in enumerate(words[1:], 1):
        is_option = word.startswith("--")
        rest = words[number + 1 : number + 2] if is_option else ()
        if is_option and len(f"{lines[-1]} {shlex.join([word, *rest])}{end}") > _WIDTH:
            lines.append("   ")
        lines[-1] += f" {shlex.quote(word)}"
    return [line + end for line in lines[:-1]] + lines[-1:]


def _warn(context: Context, warnings: Sequence[str]) -> None:
    for warning in warnings:
        context.screen.say(f"warning: {warning}")
