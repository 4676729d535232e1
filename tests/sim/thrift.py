"""What runs need not pay for again: it is the same in each life of each node, and no part of what is tried."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any  # the functions that a library generates

from werkzeug.routing import Rule

GARBAGE = (50_000, 20, 20)
"""Thresholds of Python's collector: a run of a few seconds leaves little that only it can find."""
_builders: dict[tuple[str, bool], Callable[..., Any]] = {}
_compile_builder = Rule._compile_builder


def _remembered(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    """As the library does, which compiles Python for each rule of each app: what it made is handed its rule."""
    key = rule.rule, append_unknown
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


@contextmanager
def thrifty() -> Iterator[None]:
    """Save what can be saved, inside the block."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*GARBAGE)
    Rule._compile_builder = _remembered  # type: ignore[method-assign]
    try:
        yield
    finally:
        Rule._compile_builder = _compile_builder  # type: ignore[method-assign]
        gc.set_threshold(*thresholds)
