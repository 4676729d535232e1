"""Prints the package's file `copyright`: whose work lies in the folder that is named, and on which terms."""

import sys
from importlib.metadata import Distribution, PackageMetadata
from pathlib import Path

HEAD = """\
ai-memory: persistent shared memory for AI agents

Copyright the ai-memory contributors. Licensed under the Apache License,
Version 2.0; Debian has it as /usr/share/common-licenses/Apache-2.0. NOTICE,
beside this file, names the work of others in it.

All libraries that it needs are in /usr/lib/ai-memory, without their tests. What
follows is what each of them says of its terms, and the files there that hold
them in full; those name further work that is in a library.
"""
TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "THIRDPARTYNOTICES")
"""How the names of files begin that hold terms, or say whose work something is."""


def terms_of(said: PackageMetadata, texts: list[Path]) -> str:
    """What a library says of its licence: as an expression, by its classifiers, in a word, or in the title of a text.

    Raises: LookupError if it says nothing, as nobody may then pass it on.
    """
    classes = [text.rpartition(" :: ")[2] for text in said.get_all("Classifier", []) if text.startswith("License ::")]
    word = said.get("License", "").strip().partition("\n")[0]
    title = next((text.read_text().strip().partition("\n")[0] for text in texts), "")
    found = said.get("License-Expression") or ", ".join(classes) or word or title
    if not found:
        raise LookupError(f"{said['Name']} does not say under which licence it is")
    return found.strip()


def texts_of(info: Path) -> list[Path]:
    """The files with terms that a library brings: in its metadata, or at the top of its package."""
    tops = [info.parent / info.name.partition("-")[0], info]
    return sorted(
        path for top in tops for path in (top.rglob("*") if top == info else top.glob("*"))
        if path.is_file() and path.name.upper().startswith(TEXTS) and path.suffix != ".py")


def main(site: Path) -> None:
    """Print the head, and a paragraph a library, by name."""
    print(HEAD)
    for info in sorted(site.glob("*.dist-info"), key=lambda path: path.name.lower()):
        library, texts = Distribution.at(info), texts_of(info)
        print(f"{library.name} {library.version}: {terms_of(library.metadata, texts)}")
        print(*(f"  {text.relative_to(site)}" for text in texts), sep="\n", end="\n\n" if texts else "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
