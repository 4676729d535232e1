"""A key that lies in a file of its own, and the folder in which a service manager hands files over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from aimem.config.checks import Given, check, invalid, is_public
from aimem.config.settings import setting
from aimem.config.tomlfile import read_text
from aimem.errors import Code, InvalidRequest

KEY: Final = "api_key"
KEY_FILE: Final = "api_key_file"
FOLDER_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
FOLDER_MARK: Final = f"${FOLDER_VARIABLE}/"
"""Before the name of a credential, as LoadCredential= of systemd.exec(5) has it."""


def credential_in(text: str, environ: Mapping[str, str]) -> str:
    """A path as it is, but for one that begins with `$CREDENTIALS_DIRECTORY/`, where there is such a folder."""
    folder = environ.get(FOLDER_VARIABLE)
    return f"{folder}/{text.removeprefix(FOLDER_MARK)}" if folder and text.startswith(FOLDER_MARK) else text


def override_key(given: dict[str, Given], layer: Mapping[str, Given]) -> None:
    """Forget the key of an earlier source where this one names a file, and the other way round.

    Raises: InvalidRequest(config_invalid) where one source gives both.
    """
    if KEY in layer and KEY_FILE in layer:
        raise InvalidRequest(
            f"{layer[KEY].origin} and {layer[KEY_FILE].origin}: api_key excludes api_key_file; give one of them",
            code=Code.CONFIG_INVALID, field=KEY_FILE)
    for one, other in ((KEY, KEY_FILE), (KEY_FILE, KEY)):
        if one in layer:
            given.pop(other, None)


def read_key(item: Given, path: Path) -> Given:
    """The key that a file holds, alone on its line. Raises: InvalidRequest(config_invalid); the key is never shown."""
    if str(item.value).startswith(FOLDER_MARK) and FOLDER_MARK in str(path):
        raise invalid(
            item.origin, KEY_FILE, f"is {item.value}, and {FOLDER_VARIABLE} is not set: only what the service manager "
            "starts has credentials of it; elsewhere name the file by its path")
    try:
        words = read_text(path, "the key").split()
    except InvalidRequest as error:
        raise InvalidRequest(f"{item.origin}: {error.message}", code=Code.CONFIG_INVALID, field=KEY_FILE) from error
    if len(words) != 1:
        raise invalid(item.origin, KEY_FILE, f"names {path}, which holds {len(words)} words; wanted is the key alone")
    return check(setting(KEY), words[0], f"{item.origin}, {path}")


def key_file_notices(path: Path) -> Iterator[str]:
    """What an operator should know."""
    if is_public(path):
        yield f"{path} holds a key and is readable by everybody; run: chmod 600 {path}"
