"""Texts that would draw, execute or misplace something if a terminal or a toolkit read them as more than text."""

from __future__ import annotations

from typing import Final

TERMINAL: Final = (
    "[red]not red[/red]", "[/broken", "[link=https://e.example]x[/link]", "[@click=app.quit]click[/]", "$(id)",
    "\x1b[2J\x1b[31mansi", "\x1b]52;c;ZXZpbA==\x07osc", "\x1b]8;;https://e.example\x1b\\link", "\x9b31mc1", "\x0e\x0f",
    "abc\u202egnp.exe\u202c", "\u2066iso\u2069", "\u202a" * 200, "e" + "\u0301" * 300, "👩‍👩‍👧‍👦" * 50,
    "\x00\x07\x08\r\n\t", "\ud800 lone",
    "日本語" * 100, "\u2028line\u2029para", "\ufeffbom", "", "\u1160\u115f", "ﷺ" * 20, "\u200f\u061c",
)
