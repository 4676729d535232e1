"""An authority of one's own: what it signs is taken by TLS, its files are safe, and its list can be trusted."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from aimem.errors import Conflict, InvalidRequest, NotFound, Unavailable
from aimem.model import DAY_S, Instant, parse_instant, read_allowlist, shown
from aimem.operations import Pki
from aimem.ports import certificates, issuing, system_clock, system_files
from aimem.wire import pki
from tests.nodes import FakeClock
from tests.operations.test_backups import shut

INIT = pki.InitRequest(name="mesh")


def make(folder: Path) -> tuple[Pki, FakeClock]:
    """An authority in a folder, by a clock that can be moved. TLS judges by the machine's clock: so begin there."""
    clock = FakeClock(system_clock().now())
    made = Pki(folder / "pki", system_files(), clock)
    made.init(INIT)
    return made, clock


def issue(made: Pki, name: str = "node-a", **fields: object) -> pki.IssuedOut:
    return made.issue(pki.IssueRequest(name=name, **fields))  # type: ignore[arg-type]


def shake_hands(server: pki.IssuedOut, client: pki.IssuedOut, called: str) -> None:
    """A handshake in memory in which each side asks for a certificate of the authority. Raises: ssl.SSLError."""
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server.ca)
    ours.verify_mode = ssl.CERT_REQUIRED
    ours.load_cert_chain(server.certificate, server.key)
    theirs = ssl.create_default_context(cafile=client.ca)
    theirs.load_cert_chain(client.certificate, client.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [theirs.wrap_bio(down, up, server_hostname=called), ours.wrap_bio(up, down, server_side=True)]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("called", ["node-a", "node-a.example.net", "192.0.2.1", "2001:db8::1"])
def test_two_nodes_take_each_other_for_what_they_say(tmp_path: Path, called: str) -> None:
    made, _ = make(tmp_path)
    server = issue(made, dns=("node-a.example.net",), addresses=("192.0.2.1", "2001:DB8:0::1"))
    shake_hands(server, issue(made, "node-b"), called)


@pytest.mark.parametrize("called", ["node-b", "example.net", "192.0.2.2"])
def test_a_certificate_is_not_for_another_name(tmp_path: Path, called: str) -> None:
    made, _ = make(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(issue(made, addresses=("192.0.2.1",)), issue(made, "node-b"), called)


def test_nobody_takes_what_another_authority_signed(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    other, _ = make(tmp_path / "other")
    with pytest.raises(ssl.SSLError):
        shake_hands(issue(made), issue(other, "node-b"), "node-a")


def test_a_node_cannot_sign_for_another(tmp_path: Path) -> None:
    made, clock = make(tmp_path)
    node = issue(made)
    found = certificates.read_certificates(Path(node.certificate).read_bytes())[0]
    assert not found.is_ca
    authority = issuing.Issued(
        certificate=Path(node.certificate).read_bytes(), key=Path(node.key).read_bytes()
    )
    span = issuing.Span(since=Instant(clock.now() - 1_000_000), until=found.not_after)
    forged = issuing.issue(authority, issuing.Names(common="node-b", dns=("node-b",)), span)
    Path(node.certificate).write_bytes(forged.certificate + authority.certificate)
    Path(node.key).write_bytes(forged.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(node, issue(made, "node-c"), "node-b")


def test_the_list_has_what_was_issued_and_keeps_what_people_wrote(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    first = issue(made)
    allowlist = Path(first.allowlist)
    stranger = "ab" * 32
    allowlist.write_text(f"{allowlist.read_text()}# ours at the hut\nsha256:{stranger} # a friend")
    second = issue(made, "node-b")
    text = allowlist.read_text()
    assert "# ours at the hut\n" in text
    assert {shown(one) for one in read_allowlist(text)} == {first.fingerprint, second.fingerprint, shown(stranger)}
    assert f"{second.fingerprint}  # node-b, until {second.not_after[:10]}\n" in text


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    issue(made)
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "pki").iterdir()}
    assert {name: mode for name, mode in modes.items() if mode != 0o600} == {
        "ca.pem": 0o644, "node-a.pem": 0o644, "peer-fingerprints.txt": 0o644}


@pytest.mark.parametrize("act", [Pki.read_all, issue])
def test_a_folder_that_may_not_be_entered_is_told_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Pki], object]
) -> None:
    made = Pki(shut(tmp_path / "shut", monkeypatch), system_files(), FakeClock())
    with pytest.raises(Unavailable, match=r"cannot look at .*/shut/inside.*: Permission denied; run this as root, or"):
        act(made)


def test_a_folder_that_others_may_enter_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir(mode=0o755)
    (tmp_path / "pki").chmod(0o755)
    [warning] = Pki(tmp_path / "pki", system_files(), FakeClock()).init(INIT).warnings
    assert "chmod 700" in warning


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    issue(made)
    before = {path.name: path.read_bytes() for path in (tmp_path / "pki").iterdir()}
    for refused in (lambda: made.init(INIT), lambda: issue(made)):
        with pytest.raises(Conflict):
            refused()
    (tmp_path / "pki/node-b.key").write_text("precious")
    with pytest.raises(Conflict):
        issue(made, "node-b")
    assert (tmp_path / "pki/node-b.key").read_text() == "precious"
    (tmp_path / "pki/node-b.key").unlink()
    assert {path.name: path.read_bytes() for path in (tmp_path / "pki").iterdir()} == before


def test_a_new_authority_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    before = made.read_all()[0].fingerprint
    assert made.init(pki.InitRequest(name="mesh", replaces=True)).fingerprint != before


def test_a_certificate_is_followed_by_one_with_a_key_of_its_own_and_both_are_listed(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    first = issue(made, dns=("a.example.net",), addresses=("192.0.2.1",))
    key = Path(first.key).read_bytes()
    second = issue(made, renews=True)
    assert second.names == first.names
    assert second.replaced == first.fingerprint != second.fingerprint
    assert Path(second.key).read_bytes() != key
    listed = read_allowlist(Path(second.allowlist).read_text())
    assert {shown(one) for one in listed} == {first.fingerprint, second.fingerprint}
    removed = made.remove(pki.RemoveRequest(name="node-a", replaced_only=True))
    assert (removed.removed, removed.left) == ((first.fingerprint,), 1)
    with pytest.raises(NotFound):
        made.remove(pki.RemoveRequest(name="node-a", replaced_only=True))


def test_a_certificate_that_follows_another_takes_new_names(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    issue(made, dns=("old.example.net",))
    assert issue(made, renews=True, dns=("new.example.net",)).names == ("new.example.net", "node-a")
    with pytest.raises(NotFound):
        issue(made, "node-b", renews=True)


def test_a_node_that_is_removed_is_off_the_list_and_its_files_stay(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    issue(made)
    issue(made, renews=True)
    kept = issue(made, "node-b")
    assert made.remove(pki.RemoveRequest(name="node-a")).left == 1
    assert {shown(one) for one in read_allowlist(Path(kept.allowlist).read_text())} == {kept.fingerprint}
    assert (tmp_path / "pki/node-a.pem").exists()
    with pytest.raises(NotFound):
        made.remove(pki.RemoveRequest(name="node-a"))


def test_a_node_that_was_removed_is_renewed_without_one_before_to_take_off(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    issue(made)
    made.remove(pki.RemoveRequest(name="node-a"))
    renewed = issue(made, renews=True)
    assert renewed.replaced is None
    assert made.remove(pki.RemoveRequest(name="node-a")).removed == (renewed.fingerprint,)


def test_a_node_that_was_put_back_by_the_line_of_its_file_is_replaced_and_removed_as_any(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    first = issue(made)
    allowlist = Path(first.allowlist)
    made.remove(pki.RemoveRequest(name="node-a"))
    allowlist.write_text(f"{allowlist.read_text()}{first.fingerprint}  # pki/node-a.pem\n")
    second = issue(made, renews=True)
    assert second.replaced == first.fingerprint
    assert made.remove(pki.RemoveRequest(name="node-a", replaced_only=True)).removed == (first.fingerprint,)


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    clock = FakeClock()
    made = Pki(tmp_path / "pki", system_files(), clock)
    authority = made.init(pki.InitRequest(name="mesh", days=10))
    issued = issue(made, days=20)
    assert issued.not_after == authority.not_after
    assert "ends with its authority" in issued.warnings[0]
    clock.advance(10 * DAY_S)
    with pytest.raises(InvalidRequest, match="ended on"):
        issue(made, "node-b")


def test_a_certificate_holds_from_before_it_was_made_and_as_long_as_was_asked(tmp_path: Path) -> None:
    made, clock = make(tmp_path)
    issued = issue(made, days=3)
    [found] = made.read(Path(issued.certificate))
    assert parse_instant(found.not_before, field="t") < clock.now() - 3_000_000_000
    assert found.days_left == 2
    clock.advance(2.5 * DAY_S)
    assert made.read(Path(issued.certificate))[0].warnings == ("it ends within two days",)
    clock.advance(DAY_S)
    assert made.read(Path(issued.certificate))[0].warnings == (f"it ended on {issued.not_after[:10]}",)
    clock.advance(-10 * DAY_S)
    early = made.read(Path(issued.certificate))[0]
    assert early.warnings[0] == "it ends in 9 days"
    assert early.warnings[1] == f"it does not hold before {found.not_before[:10]}"


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "-x", ".hidden", "ca", "a b", "a\n", "ä", "x" * 65])
def test_a_name_that_is_no_file_s_or_an_option_s_is_refused(tmp_path: Path, name: str) -> None:
    made, _ = make(tmp_path)
    with pytest.raises(InvalidRequest):
        issue(made, name)
    with pytest.raises(InvalidRequest):
        made.remove(pki.RemoveRequest(name=name))


@pytest.mark.parametrize("fields", [
    {"dns": ("bücher.example",)}, {"dns": ("a b",)}, {"dns": ("",)}, {"dns": ("192.0.2.1",)}, {"dns": ("x" * 254,)},
    {"dns": ("a_b",)}, {"addresses": ("node-a",)}, {"addresses": ("192.0.2.300",)}, {"addresses": ("fe80::1%eth0",)},
    {"days": 0}, {"days": 7301}, {"dns": tuple(f"n{number}" for number in range(101))},
])
def test_what_cannot_stand_in_a_certificate_is_refused_and_nothing_is_written(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    made, _ = make(tmp_path)
    with pytest.raises(InvalidRequest):
        issue(made, **fields)
    assert not (tmp_path / "pki/node-a.pem").exists()
    assert not (tmp_path / "pki/peer-fingerprints.txt").exists()


@pytest.mark.parametrize(("name", "names"), [
    ("192.0.2.7", ("192.0.2.7",)), ("node_a", ("node_a",)), ("node-a", ("node-a",)),
])
def test_a_node_s_name_is_a_host_s_or_an_address_where_it_can_be(
    tmp_path: Path, name: str, names: tuple[str, ...]
) -> None:
    made, _ = make(tmp_path)
    issued = issue(made, name)
    assert issued.names == names
    assert any("nobody can reach" in warning for warning in issued.warnings) == (name == "node_a")


def test_a_refused_value_is_told_what_would_do(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    with pytest.raises(InvalidRequest, match="no IP address, such as"):
        issue(made, addresses=("192.0.2.300",))
    with pytest.raises(InvalidRequest, match="'ca' names the files of the authority; choose another name"):
        issue(made, "ca")


def test_an_authority_s_name_may_be_any_that_can_be_read(tmp_path: Path) -> None:
    made = Pki(tmp_path, system_files(), FakeClock())
    for name in ("", "x" * 65, "a\x07b"):
        with pytest.raises(InvalidRequest):
            made.init(pki.InitRequest(name=name))
    assert made.init(pki.InitRequest(name="Büro, 3. Stock")).subject == "CN=Büro\\, 3. Stock"


def test_without_an_authority_nothing_is_issued_and_no_folder_is_made(tmp_path: Path) -> None:
    made = Pki(tmp_path / "none", system_files(), FakeClock())
    for refused in (lambda: issue(made), lambda: made.remove(pki.RemoveRequest(name="a")), made.read_all):
        with pytest.raises(NotFound):
            refused()
    assert not (tmp_path / "none").exists()


def test_a_key_of_another_authority_is_noticed_before_it_signs(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    make(tmp_path / "other")
    (tmp_path / "pki/ca.key").write_bytes((tmp_path / "other/pki/ca.key").read_bytes())
    with pytest.raises(InvalidRequest, match=r"is not the key of"):
        issue(made)
    (tmp_path / "pki/ca.key").write_text("garbage")
    with pytest.raises(InvalidRequest, match=r"ca\.key is no PEM"):
        issue(made)


def test_a_second_process_is_told_to_wait(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    lock = system_files().lock(tmp_path / "pki/.lock", "me")
    with pytest.raises(Unavailable, match="another"):
        issue(made)
    lock.close()
    issue(made)


def test_what_is_wrong_beside_a_certificate_is_shown(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    first, second = issue(made), issue(made, "node-b")
    assert [one.warnings for one in made.read_all()] == [(), (), ()]
    Path(first.key).chmod(0o644)
    made.remove(pki.RemoveRequest(name="node-a"))
    Path(second.key).write_bytes(Path(first.key).read_bytes())
    authority, *nodes = made.read_all()
    assert (authority.kind, authority.warnings) == ("authority", ())
    assert [[warning.rpartition("/")[2] for warning in one.warnings] for one in nodes] == [
        ["node-a.key", "peer-fingerprints.txt"], ["node-b.key is not its key"],
    ]


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    with pytest.raises(InvalidRequest, match=r"ca\.key holds no certificate"):
        made.read(tmp_path / "pki/ca.key")
    with pytest.raises(NotFound, match=r"none\.pem"):
        made.read(tmp_path / "none.pem")
    with pytest.raises(Unavailable, match="cannot read"):
        made.read(tmp_path)


def test_a_list_that_is_no_text_is_not_written_over(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    (tmp_path / "pki/peer-fingerprints.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRequest, match="UTF-8"):
        issue(made)
    assert (tmp_path / "pki/peer-fingerprints.txt").read_bytes() == b"\xff\xfe"


def test_the_command_that_starts_a_node_names_the_others(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    issue(made, addresses=("2001:db8::1",), dns=("a.example.net",))
    issue(made, "2001-b", addresses=("2001:db8::2",))
    words = issue(made, "node-c").serve
    assert words[words.index("--quorum-peers") + 1] == "https://2001-b:9077,https://a.example.net:9077"
    assert words[words.index("--tls-key") + 1] == "node-c.key"
