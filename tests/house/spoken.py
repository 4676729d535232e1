"""What the program says to people, read from its sources: alarms, events of the log, metrics, headers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.house.sources import PACKAGE, functions, modules, tree

SENTENCE_WORDS = 4
"""Shorter texts, and what begins with a comma or a semicolon, are pieces of a sentence."""

TELLING = re.compile(r"alarms?$|warnings$|^(health|show_papers)$")
NOTED = "node.warnings.append"
HEADER = re.compile(r"(?i)x-[a-z][a-z-]*|idempotency-key")


def fixed_words(node: ast.expr) -> str | None:
    """A text of the source with a NUL for each value in it; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(fixed_words(part) or "\0" for part in node.values)
    return None


def alarms() -> set[str]:
    """The sentences of alarms and of health's warnings, with a NUL for each value.

    They are texts in functions that are named for it, in those of the same module that these use (but for makers of one
    text, which are pieces), in constants that they return, and wherever a warning is noted.
    """
    trees = [tree(path) for path in modules(PACKAGE / "service")]
    constants = {name: text for module in trees for name, text in _constants(module).items()}
    said = set[str]()
    for module in trees:
        known = {one.name: one for one in functions(module)}
        waiting, done = {name for name in known if TELLING.search(name)}, set[str]()
        while waiting - done:
            name = min(waiting - done)
            done.add(name)
            used = _used(known[name])
            said |= _sentences(known[name]) | {constants[one] for one in used & constants.keys()}
            waiting |= {one for one in used & known.keys() if ast.unparse(known[one].returns or _NOTHING) != "str"}
    for call in _calls(modules()):
        if ast.unparse(call.func) == NOTED:
            said |= {text for argument in call.args if (text := fixed_words(argument))}
    return {text for text in said if text[0] not in ",;" and len(re.findall(r"[\w']{2,}", text)) >= SENTENCE_WORDS}


_NOTHING = ast.Constant(None)


def _calls(paths: Iterable[Path]) -> Iterator[ast.Call]:
    return (node for path in paths for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def _constants(module: ast.Module) -> dict[str, str]:
    """The texts that a module has names for."""
    named = [(node.target, node.value) for node in module.body if isinstance(node, ast.AnnAssign)]
    texts = {target.id: fixed_words(value) for target, value in named if isinstance(target, ast.Name) and value}
    return {name: text for name, text in texts.items() if text}


def _used(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names of others that it uses, not those of its own values."""
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    return {node.id for node in names} - {node.id for node in names if isinstance(node.ctx, ast.Store)}


def _sentences(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    docstring = ast.get_docstring(function, clean=False)
    inner = {id(part) for node in ast.walk(function) if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = (fixed_words(node) for node in ast.walk(function) if isinstance(node, ast.expr) and id(node) not in inner)
    return {text for text in texts if text and text != docstring}


def events(folder: Path = PACKAGE) -> dict[str, str]:
    """Every event of the log, with its level in the sources, as `warning`."""
    return {
        event: call.func.attr for call in _calls(modules(folder)) if isinstance(call.func, ast.Attribute) and call.args
        and ast.unparse(call.func.value) == "log" and (event := fixed_words(call.args[0]))
    }


def metrics() -> dict[str, tuple[str, ...]]:
    """Every metric under the name that is served, with the names of its labels in order."""
    found = dict[str, tuple[str, ...]]()
    for path in modules():
        module = tree(path)
        for function in functions(module):
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if _maker(call) in _MAKERS:
                    found.update(_metrics_of(call, function, _constants(module)))
    return found


_MAKERS = frozenset({"sample", "gauge", "counter", "histogram"})
_KINDS = frozenset({"counter", "gauge", "histogram"})
_OF_A_SAMPLE = frozenset({"name", "help", "kind", "value", "labels", "buckets", "registry"})


def _maker(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2].strip("_").lower()


def _kind(node: ast.AST, otherwise: str) -> str:
    kinds = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and one.value in _KINDS]
    return str(kinds[0]) if kinds else otherwise


def _metrics_of(
    call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef, constants: dict[str, str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What one call makes: one metric, or all of the table that its function goes through."""
    given = {word.arg: word.value for word in call.keywords if word.arg}
    name = given.get("name", call.args[0] if call.args else _NOTHING)
    if isinstance(name, ast.Call) and isinstance(name.func, ast.Attribute):
        name = name.func.value      # NAME.removesuffix("_total")
    text = constants.get(name.id) if isinstance(name, ast.Name) else fixed_words(name)
    if text is not None:
        yield _served(text, _kind(call, _maker(call))), _labels(call, given)
    elif isinstance(name, ast.Name):
        for row in (node for node in ast.walk(function) if isinstance(node, ast.Tuple) and node.elts):
            if (text := fixed_words(row.elts[0]) or "").startswith("ai_memory_"):
                yield _served(text, _kind(row, _kind(call, _maker(call)))), _labels(call, given)


def _served(name: str, kind: str) -> str:
    return f"{name.removesuffix('_total')}_total" if kind == "counter" else name


def _labels(call: ast.Call, given: dict[str, ast.expr]) -> tuple[str, ...]:
    pairs = given.get("labels", call.args[2] if len(call.args) > 2 else None)
    # Only a Sample itself has its kind by that word; what makes one from positions may have a label of the name.
    known = _OF_A_SAMPLE if ast.unparse(call.func) == "Sample" else _OF_A_SAMPLE - {"kind"}
    names = [word for word in given if word not in known]
    if isinstance(pairs, ast.Tuple):
        names += [str(fixed_words(one.elts[0] if isinstance(one, ast.Tuple) else one)) for one in pairs.elts]
    return tuple(names)


def headers() -> set[str]:
    """Every header of ours, in lower case: those that begin with x-, and the key of a request."""
    constants = (node for path in modules() for node in ast.walk(tree(path)) if isinstance(node, ast.Constant))
    values = (node.value for node in constants)
    words = (value.decode("latin-1") if isinstance(value, bytes) else value for value in values)
    return {word.lower() for word in words if isinstance(word, str) and HEADER.fullmatch(word)}


def assigned(path: Path, name: str) -> set[str]:
    """The texts that one module gives to a variable, an attribute or an argument of this name."""
    found = set[str]()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.keyword) and node.arg == name:
            found |= _texts(node.value)
        elif isinstance(node, ast.Assign):
            pairs = [pair for target in node.targets for pair in _pairs(target, node.value)]
            found |= {text for target, value in pairs for text in _texts(value)
                      if ast.unparse(target).rpartition(".")[2] == name}
    return found


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _texts(value: ast.expr) -> set[str]:
    choices = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    return {one.value for one in choices if isinstance(one, ast.Constant) and isinstance(one.value, str)}
