"""A Debian of nothing but its base and what the package says that it needs, in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 600
"""For one command, on a busy machine."""
_MIRROR: Final = "http://deb.debian.org/debian"
_ENVIRON: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
_SYSTEMCTL: Final = """\
#!/bin/sh
[ "$1" = --system ] && shift
version=$(zcat /usr/share/doc/ai-memory/changelog.Debian.gz 2>/dev/null | sed -n '1s/.*(\\(.*\\)).*/\\1/p')
echo "$* of $version" >>/root/systemctl.log
"""
"""Stands for the service manager's, and writes down what it is asked, and which version's files are there then."""


def make_root(path: Path, depends: list[str]) -> None:
    """Install the base, and packages, from the network; the release is this machine's."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(depends)}", release["VERSION_CODENAME"], path,
         _MIRROR], check=True, stdout=subprocess.DEVNULL, timeout=4 * TIMEOUT_S)


class Root:
    """It, from outside: paths are those inside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        subprocess.run(["mount", "-t", "proc", "proc", path / "proc"], check=True)
        (path / "usr/bin/systemctl").write_text(_SYSTEMCTL)
        (path / "usr/bin/systemctl").chmod(0o755)
        (path / "run/systemd/system").mkdir(parents=True)

    def at(self, place: str) -> Path:
        """Where a place of its own is from here; links of it are not followed out of it."""
        return self.path / place.lstrip("/")

    def command(self, *words: str, user: str = "root", **environ: str) -> list[str]:
        """A command in it, as a user; any other than root without privileges."""
        drop = [
            "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--no-new-privs", "--bounding-set=-all"]
        said = {**_ENVIRON, "HOME": "/root" if user == "root" else "/var/lib/ai-memory", **environ}
        return [
            "chroot", str(self.path), *(drop if user != "root" else []), "env", "-i", "-C", "/",
            *(f"{name}={value}" for name, value in said.items()), *words]

    def ask(self, *words: str, user: str = "root", given: str = "", **environ: str) -> str:
        """Run a command to its end. Returns: all that it printed. Raises: AssertionError if it failed."""
        done = subprocess.run(
            self.command(*words, user=user, **environ), input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=TIMEOUT_S)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def data_of(self, *words: str, user: str, **environ: str) -> str:
        """Run a command to its end. Returns: its stdout alone."""
        return subprocess.run(
            self.command(*words, user=user, **environ), stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S
        ).stdout

    @contextlib.contextmanager
    def serving(self, *words: str, user: str, **environ: str) -> Iterator[None]:
        """A daemon that has said that it is ready, as it says it to the service manager; then it is asked to end."""
        address = self.at("/run/notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(address))
            address.chmod(0o666)
            manager.settimeout(TIMEOUT_S)
            daemon = subprocess.Popen(self.command(*words, user=user, NOTIFY_SOCKET="/run/notify", **environ))
            try:
                while b"READY=1" not in manager.recv(65536):
                    assert daemon.poll() is None, "the daemon ended"
                yield
            finally:
                daemon.terminate()
                address.unlink()
                assert daemon.wait(TIMEOUT_S) == 0, "the daemon did not end in good order"

    def files(self) -> set[str]:
        """All that lies where packages and services put things."""
        return {
            f"{folder.removeprefix(str(self.path))}/{name}" for top in ("etc", "usr", "var")
            for folder, folders, names in os.walk(self.path / top) for name in [*folders, *names]}

    def asked_of_systemd(self) -> list[str]:
        """What the service manager was asked since the last time."""
        log = self.at("/root/systemctl.log")
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines


def remove_root(path: Path) -> None:
    """Remove it; what was mounted in it went with the namespace."""
    shutil.rmtree(path)
