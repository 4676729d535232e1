"""`python -m tests.packaging.debian`: build the Debian package twice, judge it, and try it on a machine of its own."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.house.sources import ROOT
from tests.packaging.debian.proof import proven
from tests.packaging.debian.root import Root, make_root, remove_root

NEEDS: Final = ("debootstrap", "lintian", "dpkg-deb", "unshare", "setpriv", "ip")
DIFFERS: Final = {"usr/share/doc/ai-memory/changelog.Debian.gz"}
"""What a further revision of the same source changes."""


def main(arguments: Sequence[str]) -> int:
    """Do it, and say what is tried. Returns: 1 if a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.packaging.debian", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where packages stay; those that are there are not built")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside is not None:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        first, second = packages_in(options.inside)
        proven(Root(options.inside / "root"), (first, second))
        return 0
    missing = [name for name in NEEDS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        parser.error(f"not installed: {', '.join(missing)}" if missing else "making a root takes root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="ai-memory-deb.", dir=options.folder))
    try:
        return tried(folder, options.folder or folder)
    finally:
        remove_root(folder)


def tried(folder: Path, packages: Path) -> int:
    """Build what is not there, and try it; the root is made in the folder."""
    begun = time.monotonic()
    environ = {**os.environ, "TMPDIR": str(folder)}     # a build that is broken off leaves nothing
    for revision in "12":
        if len(packages_in(packages)) < int(revision):
            subprocess.run([ROOT / "packaging/deb/build", packages, revision], check=True, env=environ)
    first, second = packages_in(packages)
    differing = {name for name, _ in digests_of(first, folder).items() ^ digests_of(second, folder).items()}
    assert differing <= DIFFERS, f"the same source made another package: {sorted(differing)}"
    subprocess.run(["lintian", "--allow-root", "--fail-on", "error", "--tag-display-limit", "0", first], check=True)
    mib = first.stat().st_size >> 20
    print(f"two packages, {mib} MiB each, judged after {time.monotonic() - begun:.0f} s", flush=True)
    make_root(folder / "root", depends_of(first))
    for package in (first, second):
        (folder / package.name).exists() or os.link(package, folder / package.name)
    print(f"a root after {time.monotonic() - begun:.0f} s", flush=True)
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private",
         sys.executable, "-m", "tests.packaging.debian", "--inside", folder], check=False)
    print(f"{'all is as promised' if done.returncode == 0 else 'FAILED'} after {time.monotonic() - begun:.0f} s")
    return done.returncode


def packages_in(folder: Path) -> list[Path]:
    """By revision."""
    return sorted(folder.glob("ai-memory_*.deb"))


def depends_of(package: Path) -> list[str]:
    """The names that it depends on; of alternatives the first."""
    said = subprocess.run(
        ["dpkg-deb", "--field", package, "Depends"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return sorted({re.split(r"[ (|]", one.strip())[0] for one in said.split(",")})


def digests_of(package: Path, folder: Path) -> dict[str, str]:
    """The digest of each file in it, by name."""
    control = folder / f"{package.stem}.control"
    subprocess.run(["dpkg-deb", "--control", package, control], check=True)
    lines = [line.split("  ", 1) for line in (control / "md5sums").read_text().splitlines()]
    return {name: digest for digest, name in lines}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
