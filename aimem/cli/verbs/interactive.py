"""Verbs for people at a terminal."""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs.table import Argument, Verb

SHELLS: Final = ("bash", "zsh", "fish", "elvish", "powershell")

SHELL: Final = Verb(
    name="shell", summary="ask and store line by line", run="shell:shell", begins=True,
    about="Reads commands from standard input, one a line: any verb with its options, and the short forms r (recall), "
          "s (search), ls (list; a namespace may follow), ns (namespaces), del and rm (delete), h (help), q (quit). "
          "Quotes keep words together; what recall and search look for needs none. Between two lines the database is "
          "free for other processes. On a terminal delete also takes the beginning of an id, shows what it found and "
          "asks; lines come back by the up arrow as long as the shell runs, and are written nowhere; Ctrl-C gives up "
          "a line or ends what runs, Ctrl-D leaves. Elsewhere nothing is asked, and the exit status is that of the "
          "last command that failed. A line of more than 256 KiB is left out, as is one whose quotation stays open.",
    examples=(("Ask twice", "printf 'recall deploys\\nstats\\n' | ai-memory shell"),),
)
COMPLETIONS: Final = Verb(
    name="completions", summary="print a script that completes this command in a shell", run="completions:completions",
    begins=True, is_plain=True,
    about="Prints a script for the shell that is named; its first lines say where to put it. It completes verbs, "
          "options, values and the names of files.",
    arguments=(Argument(name="shell", choices=SHELLS, help="The shell."),),
    examples=(("Complete in this bash", 'eval "$(ai-memory completions bash)"'),),
)
MAN: Final = Verb(
    name="man", summary="print a page of the manual", run="manual:manual", begins=True, is_plain=True,
    about="Prints the source of a manual page, in mdoc, as man and mandoc read it. The pages are part of the program, "
          "so this works where they are not installed. Where there is no man, mandoc -a or groff -mdoc -Tutf8 reads "
          "it; where there is none of these, --help of each verb has its options.",
    arguments=(Argument(name="page", count="?",
                        help="A verb, or one of config, api, governance, mesh.7, reliability, service, compat and "
                             "glossary; "
                             "ai-memory(1) if left out."),),
    examples=(("Read the page of recall", "ai-memory man recall | man -l -"),),
)
