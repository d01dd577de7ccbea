"""What shell scripts source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import ClassVar

from wavepool.plan.grouping.imports.base import Extractor, ancestors, joined, sought

_SOURCE = re.compile(r"(?:^|[;&|({]|\bthen\b|\bdo\b|\belse\b)[ \t]*+(?:source|\.)[ \t]++([^\n;&|]{1,1000}+)", re.M)
_DIRECTIVE = re.compile(r"^[ \t]*+#[ \t]*+shellcheck[ \t]++source=([^\s]++)", re.M)
"""An argument as far as it may be one: what is put in is sought in it, each beginning up to its end."""
_EXPANSION = re.compile(r"\$\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)|`[^`]*+`|\$\{[^}]*+\}|\$[\w@*#?]++")
_MARK = "\0"


def sourced_in(text: str) -> Iterator[tuple[bool, str]]:
    """What a text sources: whether the path begins with what the shell puts in (``$DIR/lib.sh``), and the rest."""
    yield from ((False, name) for name in _DIRECTIVE.findall(text) if name != "/dev/null")
    for argument in _SOURCE.findall(text):
        word = _first_word(_EXPANSION.sub(_MARK, argument.strip()))
        put_in = word.startswith(_MARK)
        name = word.lstrip(_MARK).lstrip("/") if put_in else word
        if name and _MARK not in name:
            yield put_in, name


def _first_word(argument: str) -> str:
    """The first word of a command's arguments, without its quotes."""
    word = ""
    quote = ""
    for letter in argument:
        if letter in "\"'" and quote in {"", letter}:
            quote = "" if quote else letter
        elif letter.isspace() and not quote:
            break
        else:
            word += letter
    return word


class Shell(Extractor):
    """A path is looked for beside the script and above it; what begins with a variable also by its name."""

    suffixes: ClassVar = (".sh", ".bash", ".ksh", ".zsh", ".bats")
    interpreters: ClassVar = ("sh", "bash", "dash", "ksh", "zsh", "bats")

    def targets(self, path: str, text: str) -> Iterator[str]:
        """See `Extractor`."""
        directory = posixpath.dirname(path)
        for put_in, name in sought(sourced_in(text)):
            above = (joined(each, name) for each in ancestors(directory))
            found = self.tree.first(*above, self.tree.ending(posixpath.normpath(name)) if put_in else None)
            if found is not None:
                yield found
