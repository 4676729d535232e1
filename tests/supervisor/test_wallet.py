"""Reloads: all files or none, and what was in use goes on."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from aimem.config import Config, StoreConfig
from aimem.ports import ServerMaterial, system_clock, system_files, trio_threads
from aimem.supervisor.control import Control
from aimem.supervisor.outside import Extent
from aimem.supervisor.reloading import Reloader, run_reload
from aimem.supervisor.trust import Gate, Replaced
from aimem.supervisor.wallet import Wallet
from tests import pki
from tests.supervisor.test_credentials import CA, NODE, OTHER, Folder


class Watched(Gate):
    """Notes what it is told."""

    def __init__(self, before: Gate) -> None:
        self.told: list[tuple[ServerMaterial, frozenset[str] | None]] = []
        self.failure: ValueError | None = None
        self._before = before

    def replace(self, material: ServerMaterial, allowlist: frozenset[str] | None) -> Replaced:
        if self.failure is not None:
            raise self.failure
        self.told.append((material, allowlist))
        return self._before.replace(material, allowlist)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def opened(folder: Folder) -> tuple[Wallet, Watched]:
    wallet = Wallet(folder.config(), clock=system_clock(), files=system_files(), threads=trio_threads())
    wallet.load()
    assert wallet.gate is not None
    wallet.gate = gate = Watched(wallet.gate)
    return wallet, gate


def reloader_of(wallet: Wallet) -> Reloader:
    """Reads the files of TLS alone."""
    extent = Extent(embeds=False, curates=False)
    config = Config(store=StoreConfig(db=Path("m.db")))
    return Reloader(config, wallet, mesh=None, extent=extent, threads=trio_threads())


async def test_new_files_are_used_and_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    wallet, gate = opened(folder)
    before = wallet.peer_tls.context
    folder.put(cert=OTHER.certificate, key=OTHER.key, client_cert=OTHER.certificate, client_key=OTHER.key,
               allowlist=OTHER.fingerprint.encode())
    with caplog.at_level(logging.INFO):
        await reloader_of(wallet).reload()
    [(material, allowlist)] = gate.told
    assert OTHER.certificate.splitlines()[1] in material.certificate
    assert allowlist == {OTHER.fingerprint}
    assert wallet.peer_tls.context is not before
    assert wallet.papers.fingerprints == (OTHER.fingerprint,)
    assert (wallet.papers.reloaded, wallet.papers.failed, wallet.papers.failure) == (1, 0, "")
    [record] = caplog.records
    assert (record.message, record.__dict__["added_count"], record.__dict__["removed"]) == (
        "reload.done", 1, NODE.fingerprint[:16])
    assert record.__dict__["new_certificates"] == "server,client"


async def test_another_list_has_peers_met_anew_and_the_same_does_not(folder: Folder) -> None:
    wallet, _ = opened(folder)
    before = wallet.peer_tls.edition
    await reloader_of(wallet).reload()
    assert wallet.peer_tls.edition == before
    folder.put(allowlist=f"{NODE.fingerprint}\n{OTHER.fingerprint}\n".encode())
    await reloader_of(wallet).reload()
    assert wallet.peer_tls.edition == before + 1


@pytest.mark.parametrize(("name", "data", "reason"), [
    ("allowlist", b"nonsense", "line 1"), ("allowlist", b"", "list is empty"), ("key", NODE.key[:40], "breaks off"),
    ("cert", OTHER.certificate, "is not the key of"), ("client_key", OTHER.key, "is not the key of"),
    ("peers_ca", b"x", "is no PEM file"), ("clients_ca", OTHER.certificate, "holds no authority"),
], ids=itertools.count())
async def test_one_fault_changes_nothing_until_a_later_reload_is_sound(
    folder: Folder, name: str, data: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    wallet, gate = opened(folder)
    good, before, context = (folder.path / name).read_bytes(), wallet.credentials, wallet.peer_tls.context
    folder.put(**{"allowlist": OTHER.fingerprint.encode(), name: data})
    await reloader_of(wallet).reload()
    assert (gate.told, wallet.credentials, wallet.peer_tls.context) == ([], before, context)
    assert reason in wallet.papers.failure
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["reload.failed"]
    folder.put(**{name: good})
    await reloader_of(wallet).reload()
    assert (wallet.papers.failure, len(gate.told), wallet.papers.failed) == ("", 1, 1)


async def test_a_file_that_is_gone_changes_nothing(folder: Folder) -> None:
    wallet, gate = opened(folder)
    (folder.path / "cert").unlink()
    await reloader_of(wallet).reload()
    assert "is not there" in wallet.papers.failure and not gate.told


async def test_what_the_gate_refuses_is_not_shown_to_peers_either(folder: Folder) -> None:
    wallet, gate = opened(folder)
    before = wallet.peer_tls.context
    folder.put(client_cert=OTHER.certificate, client_key=OTHER.key)
    gate.failure = ValueError("the key is too short")
    await reloader_of(wallet).reload()
    assert wallet.peer_tls.context is before
    assert wallet.papers.failure == "the key is too short"


async def test_a_list_is_shortened_although_the_own_certificate_has_expired(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    wallet, gate = opened(folder)
    expired = pki.issue_expired(CA, "node-a")
    for names in (("cert", "key"), ("client_cert", "client_key")):
        folder.put(**{names[0]: expired.certificate, names[1]: expired.key})
    await reloader_of(wallet).reload()
    assert "expired" in wallet.papers.failure and not gate.told      # a new one that has expired helps nobody


async def test_a_reload_that_is_asked_for_during_another_is_done_after_it(folder: Folder) -> None:
    wallet, gate = opened(folder)
    control = Control()
    async with trio.open_nursery() as nursery:
        await nursery.start(run_reload, reloader_of(wallet), control)
        control.ask_reload()
        control.ask_reload()
        await wait_all_tasks_blocked(0.05)
        assert len(gate.told) == 1
        control.ask_reload()
        await wait_all_tasks_blocked(0.05)
        assert len(gate.told) == 2
        nursery.cancel_scope.cancel()
