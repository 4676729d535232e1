"""What is promised of the package, step by step, on one machine that it comes to, is upgraded on and leaves."""

from __future__ import annotations

import gzip
import json
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.house.sources import MANUAL
from tests.packaging.debian.root import Root

DB: Final = "/var/lib/ai-memory/ai-memory.db"
USER: Final = "ai-memory"
ADDRESS: Final = "http://127.0.0.1:9077"
LEFT_BEHIND: Final = (
    "/etc/credstore", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-",
    "/var/cache/debconf/", "/var/lib/dpkg/", "/var/log/", "/var/lib/systemd",
)
"""What may be more after a purge than before: folders of all packages, and copies of the list of users."""


def proven(root: Root, packages: tuple[Path, Path]) -> None:
    """Raises: AssertionError at the first promise that does not hold."""
    before = root.files()
    for number, package in enumerate(packages):
        root.at(f"/root/{number}.deb").write_bytes(package.read_bytes())
    for promise in PROMISES:
        print(promise.__name__.replace("_", " "), flush=True)
        promise(root)
    more = {path for path in root.files() - before if not path.startswith(LEFT_BEHIND)}
    assert not more, sorted(more)


def it_installs_with_nothing_but_its_dependencies(root: Root) -> None:
    root.ask("dpkg", "-i", "/root/0.deb")
    for question in ("--audit", "--verify"):
        said = root.ask("dpkg", question, "ai-memory")
        assert said == "", said
    assert root.ask("ai-memory", "--version").split()[0] == root.ask("aimem", "--version").split()[0] == "ai-memory"


def it_starts_and_enables_nothing_unasked(root: Root) -> None:
    assert {line.split()[0] for line in root.asked_of_systemd()} == {"daemon-reload"}
    assert not list(root.at("/etc/systemd/system").rglob("ai-memory*"))


def its_user_alone_reads_memories_and_root_alone_the_settings(root: Root) -> None:
    assert root.ask("stat", "-c", "%U:%G %a", "/var/lib/ai-memory").strip() == "ai-memory:ai-memory 700"
    assert root.ask("stat", "-c", "%U:%G %a", "/etc/ai-memory/ai-memory.env").strip() == "root:root 600"
    assert root.ask("stat", "-c", "%U:%G %a", "/etc/credstore").strip() == "root:root 700"
    user = root.ask("getent", "passwd", USER).strip().split(":")
    assert user[5:] == ["/var/lib/ai-memory", "/usr/sbin/nologin"] and int(user[2]) < 1000


def every_page_is_there(root: Root) -> None:
    for page in sorted(MANUAL.glob("*.[1-8]")):
        place = root.at(f"/usr/share/man/man{page.suffix[1:]}/{page.name}.gz")
        assert gzip.decompress(place.read_bytes()) == page.read_bytes(), page.name
    assert root.ask("ai-memory", "man", "recall") == (MANUAL / "ai-memory-recall.1").read_text()


def every_shell_completes(root: Root) -> None:
    places = {
        "bash": "/usr/share/bash-completion/completions/ai-memory",
        "zsh": "/usr/share/zsh/vendor-completions/_ai-memory",
        "fish": "/usr/share/fish/vendor_completions.d/ai-memory.fish",
    }
    for shell, place in places.items():
        assert root.at(place).read_text() == root.ask("ai-memory", "completions", shell), shell
    script = f"source {places['bash']}; COMP_WORDS=(ai-memory rec) COMP_CWORD=1; _ai_memory; echo ${{COMPREPLY[@]}}"
    assert root.ask("bash", "-c", script).split() == ["recall"]


def the_services_user_stores_and_recalls_by_meaning(root: Root) -> None:
    say(root, "store", "--title", "Release day", "--content", "We ship to production on Tuesdays.", "--tier", "long")
    say(root, "store", "--title", "Coffee", "--content", "The machine wants descaling every month.", "--tier", "long")
    # A command embeds what is new as long as it may, and a busy machine takes several of them.
    tries = (recalled(root, "when do we deploy?") for _ in range(20))
    found = next((found for found in tries if found["mode"] == "hybrid"), None)
    assert found is not None, "the model did not work"
    assert found["memories"][0]["title"] == "Release day"


def the_daemon_serves_without_network_and_ends_in_good_order(root: Root) -> None:
    lines = root.at("/etc/ai-memory/ai-memory.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line.startswith("AI_MEMORY_"))
    with root.serving("ai-memory", "serve", user=USER, AI_MEMORY_DB=DB, **settings):
        with urllib.request.urlopen(f"{ADDRESS}/api/v1/health", timeout=60) as answer:
            health = json.load(answer)
        assert health["status"] == "ok", health
        say(root, "store", "--title", "Through the daemon", "--content", "It went by the socket.", "--tier", "long")
        with urllib.request.urlopen(f"{ADDRESS}/api/v1/recall?context=socket&limit=1", timeout=60) as answer:
            assert json.load(answer)["memories"][0]["title"] == "Through the daemon"
        assert "1 of 1 node reachable" in say(root, "console", "--once")
        say(root, "backup", "--to", "/var/lib/ai-memory/backups", "--keep", "2")


def an_upgrade_keeps_data_and_settings_and_restarts_what_runs_on_the_new_files(root: Root) -> None:
    enable(root)
    change_settings(root)
    root.asked_of_systemd()
    old = root.ask("dpkg-query", "-W", "-f", "${Version}", "ai-memory")
    root.ask("dpkg", "-i", "/root/1.deb")
    new = root.ask("dpkg-query", "-W", "-f", "${Version}", "ai-memory")
    root.ask("dpkg", "--compare-versions", old, "lt", new)
    asked = [line for line in root.asked_of_systemd() if not line.startswith("daemon-reload")]
    units = "ai-memory.service ai-memory-sync.service ai-memory-backup.timer ai-memory@*.service"
    assert asked == [f"try-restart {units} of {new}"], asked
    assert_all_is_there(root)
    say(root, "verify")


def removing_it_leaves_data_settings_and_keys_and_nothing_else(root: Root) -> None:
    root.ask("dpkg", "--remove", "ai-memory")
    stopped = [line for line in root.asked_of_systemd() if line.startswith("stop ")]
    assert len(stopped) == 1 and "ai-memory.service" in stopped[0], stopped
    assert not root.at("/usr/lib/ai-memory").exists() and not root.at("/usr/bin/ai-memory").is_symlink()
    assert root.at(DB).exists() and has_settings(root)
    root.ask("dpkg", "-i", "/root/1.deb")
    assert root.at("/etc/systemd/system/multi-user.target.wants/ai-memory.service").is_symlink()
    assert_all_is_there(root)


def a_purge_that_asks_nobody_keeps_memories_and_keys_and_says_where(root: Root) -> None:
    root.at("/etc/credstore/ai-memory.api-key").write_text("of an administrator")
    root.at("/etc/ai-memory/tls.key").write_text("of an administrator")
    said = root.ask("dpkg", "--purge", "ai-memory")
    assert "they are in /var/lib/ai-memory" in said, said
    assert root.at(DB).exists() and root.at("/etc/credstore/ai-memory.api-key").exists()
    assert [path.name for path in root.at("/etc/ai-memory").iterdir()] == ["tls.key"]
    assert not list(root.at("/etc/systemd/system").rglob("ai-memory*"))
    root.ask("dpkg", "-i", "/root/1.deb")
    assert recalled(root, "when do we deploy?")["memories"][0]["title"] == "Release day"


def a_purge_that_is_told_to_deletes_everything(root: Root) -> None:
    root.at("/etc/credstore/another.key").write_text("of another service")
    root.ask("debconf-set-selections", given="ai-memory ai-memory/purge-data boolean true\n")
    said = root.ask("dpkg", "--purge", "ai-memory")
    assert "not deleted" not in said
    assert not root.at("/var/lib/ai-memory").exists() and not root.at("/etc/ai-memory").exists()
    assert [path.name for path in root.at("/etc/credstore").iterdir()] == ["another.key"]
    assert "ai-memory" not in root.ask("debconf-show", "ai-memory")
    assert root.ask("dpkg", "--audit") == ""


PROMISES: Final = (
    it_installs_with_nothing_but_its_dependencies,
    it_starts_and_enables_nothing_unasked,
    its_user_alone_reads_memories_and_root_alone_the_settings,
    every_page_is_there,
    every_shell_completes,
    the_services_user_stores_and_recalls_by_meaning,
    the_daemon_serves_without_network_and_ends_in_good_order,
    an_upgrade_keeps_data_and_settings_and_restarts_what_runs_on_the_new_files,
    removing_it_leaves_data_settings_and_keys_and_nothing_else,
    a_purge_that_asks_nobody_keeps_memories_and_keys_and_says_where,
    a_purge_that_is_told_to_deletes_everything,
)


def say(root: Root, *words: str) -> str:
    """A command on the service's database, as its user."""
    return root.ask("ai-memory", "--db", DB, *words, user=USER)


def recalled(root: Root, question: str) -> Any:
    """What is found."""
    return json.loads(root.data_of("ai-memory", "--db", DB, "recall", question, "--json", user=USER))


def enable(root: Root) -> None:
    """As systemctl does."""
    link = root.at("/etc/systemd/system/multi-user.target.wants/ai-memory.service")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/usr/lib/systemd/system/ai-memory.service")


def change_settings(root: Root) -> None:
    """As an administrator does."""
    with root.at("/etc/ai-memory/ai-memory.env").open("a") as file:
        file.write("AI_MEMORY_LOG_LEVEL=warning\n")


def has_settings(root: Root) -> bool:
    return root.at("/etc/ai-memory/ai-memory.env").read_text().endswith("AI_MEMORY_LOG_LEVEL=warning\n")


def assert_all_is_there(root: Root) -> None:
    assert has_settings(root)
    assert recalled(root, "when do we deploy?")["memories"][0]["title"] == "Release day"
    assert recalled(root, "socket")["memories"][0]["title"] == "Through the daemon"
