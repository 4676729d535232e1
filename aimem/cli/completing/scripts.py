"""Places as a script of each shell. Every script walks the words before the cursor to the place where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from aimem.cli.completing.places import Flag, Place
from aimem.cli.completing.templates import BASH, ELVISH, FISH, POWERSHELL, ZSH

PROGRAMS: Final = ("ai-memory", "aimem")


def _filled(template: str, **parts: str) -> str:
    """The template with each `<<name>>` replaced."""
    for name, text in parts.items():
        template = template.replace(f"<<{name}>>", text)
    return template


def _verbs(found: Sequence[Place]) -> list[str]:
    """`above/verb` for every verb: what moves on from one place to the next."""
    return [f"{place.path}/{name}" for place in found for name, _ in place.verbs]


def _valued(found: Sequence[Place]) -> list[str]:
    return list(dict.fromkeys(name for place in found for flag in place.flags if flag.is_valued for name in flag.names))


def _takers(found: Sequence[Place]) -> list[str]:
    return [place.path for place in found if place.takes_files]


def _words(place: Place) -> list[str]:
    return [name for name, _ in place.verbs] + list(place.words) + [n for flag in place.flags for n in flag.names]


def _described(place: Place) -> list[tuple[str, str]]:
    named = [*place.verbs, *((word, "") for word in place.words)]
    return named + [(name, flag.help) for flag in place.flags for name in flag.names]


def _choices(found: Sequence[Place]) -> list[tuple[list[str], tuple[str, ...]]]:
    """For each flag with a closed set of values: the `place:flag` under which it is looked up, and the set."""
    return [
        ([f"{place.path}:{name}" for name in flag.names], flag.choices)
        for place in found for flag in place.flags if flag.choices
    ]


def _files(found: Sequence[Place]) -> list[str]:
    return [f"{place.path}:{name}" for place in found for flag in place.flags if flag.is_file for name in flag.names]


def _quoted(text: str, inside: str = "'\\''") -> str:
    """In single quotes; `inside` is how the shell writes one of them there."""
    return "'" + text.replace("'", inside) + "'"


def _doubled(text: str) -> str:
    """In single quotes, as elvish and PowerShell write them."""
    return _quoted(text, "''")


def _case(patterns: Iterable[str]) -> str:
    return "|".join(_quoted(pattern) for pattern in patterns)


def _lines(indent: int, lines: Iterable[str]) -> str:
    return "\n".join(" " * indent + line for line in lines)


def _bash(found: Sequence[Place]) -> str:
    return _filled(
        BASH, valued="|".join(_valued(found)), verbs=_case(_verbs(found)), files=_case(_files(found)),
        takers=_case(_takers(found)), programs=" ".join(PROGRAMS),
        values=_lines(12, (
            f'{_case(keys)}) COMPREPLY=($(compgen -W {_quoted(" ".join(choices))} -- "$cur")) ;;'
            for keys, choices in _choices(found))),
        words=_lines(8, (f"{_quoted(place.path)}) words={_quoted(' '.join(_words(place)))} ;;" for place in found)))


def _zsh(found: Sequence[Place]) -> str:
    return _filled(
        ZSH, valued="|".join(_valued(found)), verbs=_case(_verbs(found)), files=_case(_files(found)),
        takers=_case(_takers(found)), programs=" ".join(PROGRAMS),
        values=_lines(12, (f"({_case(keys)}) compadd -- {' '.join(choices)} ;;" for keys, choices in _choices(found))),
        words=_lines(8, (f"({_quoted(place.path)}) spots=({_zsh_spots(place)}) ;;" for place in found)))


def _zsh_spots(place: Place) -> str:
    return " ".join(_quoted(f"{word}:{text}" if text else word) for word, text in _described(place))


def _fish(found: Sequence[Place]) -> str:
    return _filled(
        FISH, valued=" ".join(_valued(found)), verbs=" ".join(map(_quoted, _verbs(found))), program=PROGRAMS[0],
        places="\n".join(line for place in found for line in _fish_lines(place)),
        others="\n".join(f"complete -c {name} -w {PROGRAMS[0]}" for name in PROGRAMS[1:]))


def _fish_lines(place: Place) -> Iterable[str]:
    begin = f"complete -c {PROGRAMS[0]} -n {_fish_quoted(f'__ai_memory_at {_fish_quoted(place.path)}')}"
    yield from (f"{begin} -a {name} -d {_fish_quoted(text)}" for name, text in place.verbs)
    if place.words:
        yield f"{begin} -a {_fish_quoted(' '.join(place.words))}"
    if place.takes_files:
        yield f"{begin} -F"
    yield from (f"{begin} {_fish_flag(flag)}" for flag in place.flags)


def _fish_quoted(text: str) -> str:
    return _quoted(text.replace("\\", "\\\\"), "\\'")


def _fish_flag(flag: Flag) -> str:
    names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in flag.names)
    value = "-r -F" if flag.is_file else "-x" if flag.is_valued else ""
    choices = f"-a {_fish_quoted(' '.join(flag.choices))}" if flag.choices else ""
    return " ".join(part for part in (names, value, choices, f"-d {_fish_quoted(flag.help)}") if part)


def _elvish(found: Sequence[Place]) -> str:
    return _filled(
        ELVISH, valued=_elvish_set(_valued(found)), verbs=_elvish_set(_verbs(found)), program=PROGRAMS[0],
        files=_elvish_set(_files(found)), takers=_elvish_set(_takers(found)),
        values=_lines(4, (
            f"&{_doubled(key)}=[{' '.join(choices)}]" for keys, choices in _choices(found) for key in keys)),
        words=_lines(4, (f"&{_doubled(place.path)}=[{' '.join(map(_doubled, _words(place)))}]" for place in found)),
        others="\n".join(
            f"set edit:completion:arg-completer[{name}] = $edit:completion:arg-completer[{PROGRAMS[0]}]"
            for name in PROGRAMS[1:]))


def _elvish_set(words: Iterable[str]) -> str:
    return " ".join(f"&{_doubled(word)}=$true" for word in words)


def _powershell(found: Sequence[Place]) -> str:
    return _filled(
        POWERSHELL, programs=", ".join(map(_doubled, PROGRAMS)), valued=", ".join(map(_doubled, _valued(found))),
        verbs=", ".join(map(_doubled, _verbs(found))),
        values=_lines(12, (
            f"{_doubled(key)} {{ {', '.join(map(_doubled, choices))} }}"
            for keys, choices in _choices(found) for key in keys)),
        words=_lines(12, (
            f"{_doubled(place.path)} {{ {', '.join(map(_doubled, _words(place)))} }}" for place in found)))


SCRIPTS: Final[Mapping[str, Callable[[Sequence[Place]], str]]] = MappingProxyType({
    "bash": _bash, "zsh": _zsh, "fish": _fish, "elvish": _elvish, "powershell": _powershell,
})
"""Shell -> the maker of its script."""
