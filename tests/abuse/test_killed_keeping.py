"""A backup or a restore that is killed before any of its steps: the database is whole, the old one or the new one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest
import trio

from aimem.model import Instant
from aimem.operations import Keeper
from aimem.operations.backups import manifest_path
from aimem.ports import system_chance, system_files
from aimem.store import NodeLock
from aimem.wire.keeping import Trust
from tests.nodes import FakeClock, open_store
from tests.store.test_crash import put_pair

ROOT = Path(__file__).resolve().parents[2]
STEPS_MAX = 60
LONG_AGO, FAR_AHEAD = Instant(1_500_000_000_000_000), Instant(4_000_000_000_000_000)

pytestmark = pytest.mark.slow


class Place:
    """A folder with a database that was killed, so that much of it is in its log, and an older backup."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.db, self.backups = folder, folder / "a.db", folder / "backups"

    @property
    def keeper(self) -> Keeper:
        return self.keeper_at(LONG_AGO)

    def keeper_at(self, moment: Instant) -> Keeper:
        return Keeper(self.db, system_files(), FakeClock(moment), system_chance())

    def digest(self) -> str:
        found = self.keeper.verify([])
        assert found.sound, found
        return found.databases[0].digest

    def whole(self) -> list[str]:
        """The digests of the backups that count."""
        if not self.backups.exists():
            return []
        listed = list(self.backups.glob("*.db")) + list(self.backups.glob("*.json"))
        return [one.digest for one in self.keeper.verify([self.backups]).databases if one.sound] if listed else []

    def run_until_step(self, step: int, *words: str) -> int:
        command = [sys.executable, "-m", "tests.abuse.stepped", str(step), "--db", "a.db", *words]
        environ = {"PYTHONPATH": str(ROOT), "AI_MEMORY_NO_CONFIG": "1", "HOME": str(self.folder)}
        done = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, timeout=120, check=False)
        assert done.returncode in {0, -SIGKILL}, done.stderr
        return done.returncode

    def start(self) -> str:
        """What the next daemon does first. Returns: its stream."""

        async def opened() -> str:
            async with open_store(self.db) as store:
                return store.stream

        NodeLock.take(system_files(), self.db, "the next one").release()
        return trio.run(opened)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What each step begins with."""
    made, target = Place(tmp_path_factory.mktemp("before")), Place(tmp_path_factory.mktemp("killed"))

    async def live() -> None:
        async with open_store(made.db) as store:
            for number in range(20):
                await store.write(put_pair, f"a{number:02}")
        made.keeper.back_up(made.backups, 0)
        async with open_store(made.db) as store:
            for number in range(20):
                await store.write(put_pair, f"b{number:02}")
            shutil.copytree(made.folder, target.folder, dirs_exist_ok=True)

    trio.run(live)
    backups = sorted(target.backups.glob("*.json"))
    backups[0].write_text(backups[0].read_text().replace(str(made.db), str(target.db)))
    return target


def each_step(killed: Place, *words: str) -> Iterator[Place]:
    """The place as each step leaves it that is the last; at the end as a command leaves it that nothing ends."""
    for step in count(1):
        assert step < STEPS_MAX
        saved = killed.folder.with_name("saved")
        shutil.copytree(killed.folder, saved)
        try:
            status = killed.run_until_step(step, *words)
            yield killed
        finally:
            shutil.rmtree(killed.folder)
            saved.rename(killed.folder)
        if status == 0:
            assert step > 8
            return


def test_a_killed_backup_does_not_count_and_takes_no_other_with_it(killed: Place) -> None:
    [old], new = killed.whole(), killed.digest()
    seen = []
    for place in each_step(killed, "backup", "--to", "backups", "--keep", "1"):
        whole = place.whole()
        assert whole in ([old], [old, new], [new])
        assert place.digest() == new
        seen.append(whole)
        made = place.keeper_at(FAR_AHEAD).back_up(place.backups, 1)
        assert made.digest == new
        assert place.whole() == [new]
        assert {path.name for path in place.backups.iterdir() if path.suffix in {".db", ".json"}} == {
            made.snapshot, manifest_path(Path(made.snapshot)).name
        }, "nothing is left that no later backup would take away"
        assert not list(place.backups.glob(".*part*"))
    assert [old] in seen
    assert seen[-1] == [new]


def test_a_killed_restore_leaves_the_old_database_or_the_new_one(killed: Place) -> None:
    [backed], old = killed.whole(), killed.digest()
    seen = []
    before = stream_before(killed)
    for place in each_step(killed, "restore", "--from", "backups"):
        NodeLock.take(system_files(), place.db, "the next one").release()
        digest = place.digest()
        assert digest in {old, backed}
        seen.append(digest)
        stream = place.start()
        if digest == backed:
            assert stream != before, "an older database must not be written to under the same key"
        assert place.keeper.verify([]).sound
        place.keeper.restore(place.backups, Trust.MANIFEST)
        assert place.digest() == backed
    assert (seen[0], seen[-1]) == (old, backed)
    assert seen == sorted(seen, key=[old, backed].index), "once the new one counts it is never the old one again"


def stream_before(killed: Place) -> str:
    """The stream that the database's key is of."""
    copy = killed.folder.with_name("looked-at")
    shutil.copytree(killed.folder, copy)
    stream = Place(copy).start()
    shutil.rmtree(copy)
    return stream
