"""The manual says what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aimem.cli.exits import ExitStatus
from aimem.cli.man import generated_pages, global_option_entries, main
from aimem.cli.verbs import VERBS, within
from aimem.config import SETTINGS, VARIABLES

MAN = Path(__file__).resolve().parents[2] / "man"
PAGES = generated_pages(MAN)


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    assert (MAN / name).read_text() == PAGES[name], f"run: python -m aimem.cli.man {MAN}"


def test_the_generator_writes_every_page(tmp_path: Path) -> None:
    (tmp_path / "ai-memory-config.5").write_text((MAN / "ai-memory-config.5").read_text())
    assert main([str(tmp_path)]) == 0
    assert {page.name for page in tmp_path.iterdir() if page.is_file()} == set(PAGES)


def test_a_page_without_its_marks_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "ai-memory-config.5").write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        main([str(tmp_path)])


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_is_in_the_manual_with_its_variable_and_option(setting) -> None:  # type: ignore[no-untyped-def]
    page = PAGES["ai-memory-config.5"]
    assert f".It Cm {setting.key.rpartition('.')[2]}\n" in page
    assert f".Ev {setting.variable} " in page
    assert not setting.flag or f".Fl {setting.flag[1:]} ." in page


def test_every_variable_is_in_both_pages_that_list_them() -> None:
    for variable in VARIABLES:
        for page in ("ai-memory.1", "ai-memory-config.5"):
            assert f".It Ev {variable.name}\n" in (MAN / page).read_text()


def test_the_main_page_has_every_verb_status_and_global_option() -> None:
    page = (MAN / "ai-memory.1").read_text()
    for verb in VERBS:
        assert f".It Cm {verb.name}\n" in page
        assert f".Xr ai-memory-{verb.name} 1" in page
    assert re.findall(r"^\.It (\d+)$", page, re.MULTILINE) == [str(status.value) for status in ExitStatus]
    for flag in global_option_entries():
        assert re.search(rf"^\.It .*Fl {flag[1:]}( |$)", page, re.MULTILINE), flag


def test_every_option_is_in_its_verb_s_page() -> None:
    for verb in VERBS:
        page = PAGES[f"ai-memory-{verb.name}.1"]
        for _, leaf in within(verb):
            for option in leaf.options:
                assert re.search(rf"^\.It .*Fl {option.flag[1:]}( |$)", page, re.MULTILINE), (verb.name, option.flag)
