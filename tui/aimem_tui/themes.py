"""Colours: a dark and a light theme, and one of the terminal's own sixteen. Blue and orange, which all eyes tell apart.

Nothing is said by colour alone: every cell of a tone has a word, a sign or a mark as well (see sheet).
"""

from __future__ import annotations

import dataclasses
from typing import Final

from textual.theme import BUILTIN_THEMES, Theme

DARK: Final = Theme(
    name="aimem-dark", dark=True, primary="#5aa9e6", secondary="#7f8fa6", accent="#9ad1ff", success="#56b4e9",
    warning="#f0a832", error="#ff7a5c", foreground="#e6e6e6", background="#14171c", surface="#1b1f26", panel="#262c36",
    variables={"heat-text": "#ffffff", "heat1": "#3d5a80", "heat2": "#a8620c", "heat3": "#c0391b",
               "row-cursor": "#2c4763",
               "text-success": "#7cc7f2", "text-warning": "#f5b942", "text-error": "#ff8f75", "text-accent": "#b5deff",
               "text-muted": "#a0a8b4"},
)
LIGHT: Final = Theme(
    name="aimem-light", dark=False, primary="#0b6bb5", secondary="#5f6b7a", accent="#004a80", success="#0b6bb5",
    warning="#9a5b00", error="#b3260e", foreground="#1c1f24", background="#fbfbf9", surface="#f1f1ee", panel="#e3e4e1",
    variables={"heat-text": "#1c1f24", "heat1": "#cfe3f5", "heat2": "#f6cf94", "heat3": "#f0a08c",
               "row-cursor": "#c9dff2",
               "text-success": "#0a5a99", "text-warning": "#8a4f00", "text-error": "#a3200a", "text-accent": "#004a80",
               "text-muted": "#5c6570"},
)
_SIXTEEN: Final = BUILTIN_THEMES["ansi-dark"]
ANSI: Final = dataclasses.replace(
    _SIXTEEN, name="aimem-ansi", success="ansi_cyan", warning="ansi_yellow", error="ansi_bright_red",
    variables={**_SIXTEEN.variables, "heat-text": "ansi_black", "heat1": "ansi_cyan", "heat2": "ansi_yellow",
               "heat3": "ansi_bright_red", "row-cursor": "ansi_blue", "text-success": "ansi_cyan",
               "text-warning": "ansi_yellow", "text-error": "ansi_bright_red", "text-accent": "ansi_bright_cyan",
               "text-muted": "ansi_default"},
)
THEMES: Final = {"dark": DARK, "light": LIGHT, "ansi": ANSI}
