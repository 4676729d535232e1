"""The files of an index: only what is whole and ours is opened, and whatever else is there is said."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from aimem.search import Bounds, VectorIndex, hold_halves
from aimem.search.folder import DamagedIndex, VectorFolder
from aimem.search.segment import File
from tests.search.vectors import clustered, rebuild, unit

DIMENSION = 4


def small_index() -> VectorIndex:
    index = VectorIndex(DIMENSION, Bounds(exact_chunks=4))
    for no in range(20):
        index.put(no, [unit(1, no, 0, 0), unit(0, 0, 1, no)])
    return index


@pytest.fixture
def folder(tmp_path: Path) -> VectorFolder:
    """A folder with one segment."""
    rebuild(small_index(), tmp_path / "vectors")
    return VectorFolder(tmp_path / "vectors")


def opened(folder: VectorFolder) -> VectorIndex:
    kept = folder.open(model="m", dimension=DIMENSION)
    assert kept is not None
    index = VectorIndex(DIMENSION, Bounds(exact_chunks=4))
    index.adopt(kept.segment)
    return index


def test_a_segment_opens_as_it_was_written(folder: VectorFolder) -> None:
    query = unit(1, 3, 1, 3)
    expected = small_index().similarities(query, range(20))
    assert dict(opened(folder).search(query, 20)) == pytest.approx(expected, abs=1e-3)
    assert oct(folder.path.stat().st_mode & 0o777) == oct(0o700)
    assert {oct(path.stat().st_mode & 0o777) for path in (folder.path / "segment-1").iterdir()} == {oct(0o600)}


def test_where_nothing_was_written_nothing_is_opened(tmp_path: Path) -> None:
    assert VectorFolder(tmp_path / "none").open(model="m", dimension=DIMENSION) is None
    (tmp_path / "vectors" / "segment-3.new").mkdir(parents=True)
    (tmp_path / "vectors" / "notes.txt").touch()
    assert VectorFolder(tmp_path / "vectors").open(model="m", dimension=DIMENSION) is None


@pytest.mark.parametrize("name", [*File, "manifest.json"])
@pytest.mark.parametrize("spoil", ["truncate", "empty", "remove", "flip", "folder", "ring"])
def test_damage_of_any_file_is_said(folder: VectorFolder, name: str, spoil: str) -> None:
    path = folder.path / "segment-1" / name
    data = path.read_bytes()
    changed = {
        "truncate": lambda: path.write_bytes(data[:-1]), "empty": lambda: path.write_bytes(b""), "remove": path.unlink,
        "flip": lambda: path.write_bytes(bytes([data[0] ^ 1]) + data[1:]),
        # Files that cannot be read, whoever asks (root may read all that only permissions forbid).
        "folder": lambda: (path.unlink(), path.mkdir()), "ring": lambda: (path.unlink(), path.symlink_to(path)),
    }
    changed[spoil]()
    with pytest.raises(DamagedIndex, match=name):
        folder.open(model="m", dimension=DIMENSION)
    folder.discard()
    assert folder.open(model="m", dimension=DIMENSION) is None


def test_a_file_in_the_place_of_a_segment_is_damage_and_makes_room(folder: VectorFolder) -> None:
    shutil.rmtree(folder.path / "segment-1")
    (folder.path / "segment-1").write_text("in the way")
    (folder.path / "segment-2.new").symlink_to(folder.path)
    with pytest.raises(DamagedIndex, match="segment-1"):
        folder.open(model="m", dimension=DIMENSION)
    rebuild(small_index(), folder.path)
    assert opened(folder).count == 20


def test_want_of_something_else_than_the_file_is_no_damage(
    folder: VectorFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        with pytest.raises(OSError, match="open files"):
            folder.open(model="m", dimension=DIMENSION)
    assert opened(folder).count == 20


def test_a_copied_segment_counts_though_its_times_differ(folder: VectorFolder) -> None:
    for path in (folder.path / "segment-1").iterdir():
        os.utime(path, (1, 1))
    assert opened(folder).count == 20


def test_foreign_models_and_later_formats_are_refused(folder: VectorFolder) -> None:
    with pytest.raises(DamagedIndex, match="of the model m, not other"):
        folder.open(model="other", dimension=DIMENSION)
    with pytest.raises(DamagedIndex, match="of the model"):
        folder.open(model="m", dimension=8)
    path = folder.path / "segment-1" / "manifest.json"
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | {"format": 99}))
    with pytest.raises(DamagedIndex, match="format 99"):
        folder.open(model="m", dimension=DIMENSION)


def test_files_that_contradict_each_other_are_refused(folder: VectorFolder) -> None:
    """Whole files with wrong facts in them: somebody wrote the manifest anew."""
    place = folder.path / "segment-1"
    starts = np.fromfile(place / File.STARTS, "<i8")
    for wrong in (starts * 1000, starts - 1, starts[::-1]):
        wrong.astype("<i8").tofile(place / File.STARTS)
        manifest = msgspec.json.decode((place / "manifest.json").read_bytes())
        manifest["files"][File.STARTS] |= {"changed_ns": (place / File.STARTS).stat().st_mtime_ns}
        (place / "manifest.json").write_bytes(msgspec.json.encode(manifest))
        with pytest.raises(DamagedIndex, match="segment-1"):
            folder.open(model="m", dimension=DIMENSION)


def test_a_new_segment_takes_the_place_of_the_old_one_which_searches_may_still_use(folder: VectorFolder) -> None:
    old = opened(folder)
    (folder.path / "segment-7.new").mkdir()
    rebuild(small_index(), folder.path)
    assert sorted(path.name for path in folder.path.iterdir()) == ["segment-2"]
    assert [no for no, _ in old.search(unit(1, 0, 0, 0), 1)] == [0]
    folder.discard()
    assert list(folder.path.iterdir()) == []
    assert len(old.search(unit(1, 0, 0, 0), 20)) == 20


def test_an_interrupted_write_leaves_the_old_segment_and_is_swept(folder: VectorFolder) -> None:
    with folder.begin(model="m", dimension=DIMENSION) as writer:
        writer.add(next(small_index().begin_base().blocks()))
        next(writer.finish())
    assert opened(folder).count == 20
    folder.sweep(folder.path / "segment-1")
    assert sorted(path.name for path in folder.path.iterdir()) == ["segment-1"]


def test_the_folder_keeps_what_is_not_its_own(folder: VectorFolder) -> None:
    (folder.path / "notes.txt").touch()
    folder.discard()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


# Trees

def grown(path: Path, rows: int) -> tuple[VectorFolder, VectorIndex]:
    index = VectorIndex(384, Bounds(exact_chunks=10, wide_chunks=400, trees_chunks=10))
    index.change({
        no: hold_halves([row.tobytes()], 384, bytes(16)) for no, row in enumerate(clustered(rows))}, ())
    rebuild(index, path)
    folder = VectorFolder(path)
    kept = folder.open(model="m", dimension=384)
    assert kept is not None
    for _ in folder.grow_trees(kept):
        pass
    index.adopt(kept.segment)
    return folder, index


def test_trees_are_kept_and_find_almost_all_of_the_nearest(tmp_path: Path) -> None:
    folder, index = grown(tmp_path / "vectors", 5_000)
    kept = folder.open(model="m", dimension=384)
    assert kept is not None
    assert kept.segment.trees is not None
    exact = VectorIndex(384)
    exact.change({no: hold_halves([row.tobytes()], 384, bytes(16)) for no, row in enumerate(clustered(5_000))}, ())
    shares = []
    for row in clustered(30, seed=2):
        query = row.astype("<f4").tobytes()
        truth = {no for no, _ in exact.search(query, 10)}
        shares.append(len(truth & {no for no, _ in index.search(query, 10)}) / 10)
    assert np.mean(shares) >= 0.95


def test_trees_of_which_most_rows_died_leave_the_search_to_the_codes(tmp_path: Path) -> None:
    _, index = grown(tmp_path / "vectors", 1_000)
    query = clustered(1, seed=2)[0].astype("<f4").tobytes()
    index.change({}, {no for no, _ in index.search(query, 950)})
    found = index.search(query, 40)
    assert len(found) == 40
    assert index.count == 50


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_bytes(path.read_bytes()[:-1]), lambda path: path.unlink(),
    lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]),
])
def test_spoilt_trees_are_left_out(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    folder, _ = grown(tmp_path / "vectors", 100)
    spoil(folder.path / "segment-1" / "trees.ann")
    kept = folder.open(model="m", dimension=384)
    assert kept is not None
    assert kept.segment.trees is None


def test_trees_are_not_begun_where_the_disk_could_not_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = grown(tmp_path / "vectors", 100)
    kept = folder.open(model="m", dimension=384)
    assert kept is not None
    monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage())
    with pytest.raises(OSError, match="has 0 left"):
        next(folder.grow_trees(kept))


class _Usage:
    free = 0
