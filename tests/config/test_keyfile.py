"""A key in a file of its own: who wins, what is refused, and where a service manager puts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.test_loader import Place, place

__all__ = ["place"]


@pytest.fixture
def key(place: Place) -> Path:
    path = place.cwd / "key"
    path.write_text("correct-horse\n")
    path.chmod(0o600)
    return path


def test_the_key_is_what_the_file_holds(place: Place, key: Path) -> None:
    for config in (
        place.load({}, {"AI_MEMORY_API_KEY_FILE": "key"}), (place.write(f"api_key_file = '{key}'"), place.load())[1]
    ):
        assert (config.api.api_key, config.notices) == ("correct-horse", ())


def test_a_later_source_overrides_the_key_and_its_file_alike(place: Place, key: Path) -> None:
    place.write("api_key_file = '/nowhere'")
    assert place.load({}, {"AI_MEMORY_API_KEY": "k"}).api.api_key == "k"
    place.write("api_key = 'k'")
    assert place.load({}, {"AI_MEMORY_API_KEY_FILE": str(key)}).api.api_key == "correct-horse"


def test_a_key_and_a_file_in_one_source_are_refused(place: Place) -> None:
    said = place.refusal(AI_MEMORY_API_KEY="k", AI_MEMORY_API_KEY_FILE="key")
    assert said == "AI_MEMORY_API_KEY and AI_MEMORY_API_KEY_FILE: api_key excludes api_key_file; give one of them"


@pytest.mark.parametrize(("text", "said"), [
    ("", "holds 0 words; wanted is the key alone"), ("\n", "holds 0 words"), ("two words", "holds 2 words"),
    ("aim_12", "not a whole one"),
])
def test_what_is_no_key_is_refused_and_never_shown(place: Place, key: Path, text: str, said: str) -> None:
    key.write_text(text)
    refusal = place.refusal(AI_MEMORY_API_KEY_FILE="key")
    assert refusal.startswith("AI_MEMORY_API_KEY_FILE") and said in refusal
    assert not text.strip() or text not in refusal


def test_a_file_that_is_not_there_never_opens_the_door(place: Place) -> None:
    assert "the key cannot be read: No such file" in place.refusal(AI_MEMORY_API_KEY_FILE="nowhere")
    assert "AI_MEMORY_API_KEY_FILE" in place.refusal(AI_MEMORY_API_KEY_FILE="")


def test_a_file_that_everybody_reads_is_a_notice(place: Place, key: Path) -> None:
    key.chmod(0o644)
    [notice] = place.load({}, {"AI_MEMORY_API_KEY_FILE": "key"}).notices
    assert notice == f"{key} holds a key and is readable by everybody; run: chmod 600 {key}"


def test_credentials_of_the_service_manager_are_found_in_its_folder(place: Place, key: Path) -> None:
    named = "$CREDENTIALS_DIRECTORY/key"
    environ = {
        "CREDENTIALS_DIRECTORY": str(place.cwd), "AI_MEMORY_API_KEY_FILE": named, "AI_MEMORY_TLS_CERT": "/etc/tls.pem",
        "AI_MEMORY_TLS_KEY": named,
    }
    config = place.load({}, environ)
    assert config.api.api_key == "correct-horse"
    assert config.tls.key is not None and config.tls.key.path == key


def test_outside_of_a_service_its_credentials_are_refused_by_name(place: Place) -> None:
    said = place.refusal(AI_MEMORY_API_KEY_FILE="$CREDENTIALS_DIRECTORY/key")
    assert "CREDENTIALS_DIRECTORY is not set" in said and "name the file by its path" in said
