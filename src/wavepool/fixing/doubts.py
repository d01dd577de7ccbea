"""Whether an output without an exit code may be taken at a tool's word that nothing is wrong: in doubt it may not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from wavepool.plan.diagnostics.decoding import Decoder
from wavepool.plan.diagnostics.lines import LineCutter

_SHOWN_CHARACTERS = 120

_FAILURE = re.compile(
    r"""
    \*\*\*                                                          # make
    | \bnpm\ (?:ERR!|error\b) | \bELIFECYCLE\b
    | \bTraceback\ \(most\ recent\ call\ last\)
    | (?i:\bsegmentation\ fault\b | \bcore\ dumped\b | \bbus\ error\b | \billegal\ instruction\b | \bstack\ overflow\b)
    | \b(?:Killed|Terminated|Aborted|Hangup|OOMKilled)\b | \bSIG[A-Z]{3,5}\b
    | (?i:\bout\ of\ memory\b | \bno\ space\ left\b | \bcannot\ allocate\b)
    | (?i:\bnot\ found\b | \bno\ such\ file\b | \bdenied\b | \bnot\ permitted\b | \bcannot\b | \bunable\ to\b)
    | (?i:(?<!\b0\ )(?<!\bno\ )(?<!\bzero\ )\b(?:errors?|failures?|failed|exceptions?)(?:[:!\]\[()\s,;]|\.\B|$))
    | (?i:\b(?:fatal|panic|panicked|crash|crashed|unhandled|uncaught|aborting|timed\ out|timeout)\b(?![/.\w-]))
    | \bFAIL\b | \b[A-Z]\w*(?:Error|Exception)\b(?=:|$)
    | (?i:\b(?:exit(?:ed|s|ing)?|returned|status|code)\b(?:\ with)?(?:\ (?:exit|code|status|value))*[\ :=]+-?[1-9])
    | (?i:\bsignal\ :?\d)
    """,
    re.VERBOSE,
)
"""What a line says when something went wrong, be it of a tool that nobody reads."""

_CLEAN = re.compile(
    r"""
    Success:\ no\ issues\ found.*                                    # mypy
    | (?:\[.{1,30}\]\ |\S{1,14}(?:\ [AP]M)?\ -\ )?Found\ 0\ errors\..*  # tsc
    | All\ checks\ passed!                                           # ruff
    | \d+\ files?\ (?:already\ formatted|left\ unchanged)            # ruff format
    | 0\ errors,\ \d+\ warnings?(?:,.*)?                             # pyright
    | \W*\d+\ problems?\ \(0\ errors,\ \d+\ warnings?\)              # eslint
    | =*\ ?\d+\ passed\b.*\ in\ \d.*                                 # pytest
    | test\ result:\ ok\..*                                          # Rust
    """,
    re.VERBOSE,
)
"""The line in which a tool says that there are no errors."""

_DOCUMENT = re.compile(r'[\]}\s]+|(?:\{"results":)?\[(?:\{"filePath":.*|\].*)')
"""The last line of a document, as far as it is kept. Which one it was, its reader knows."""
DOCUMENTS = frozenset({"eslint", "pyright"})
"""Tools with documents that say how many errors there are."""
_CLOSED = (b"]", b"}")

_HARMLESS = re.compile(
    r"""
    \s* | npm\ (?:notice|warn|WARN)\b.* | (?:real|user|sys)\s+\d.*
    | \W*Done\ in\ [\d.]+\ ?m?s\.? | g?make(?:\[\d+\])?:\ Leaving\ directory\ .*
    | \s*0\ errors\ and\ \d+\ warnings?\ potentially\ fixable\ .*
    """,
    re.VERBOSE,
)
"""What may follow on that."""


def doubt_in(pieces: Iterator[bytes], *, document: bool) -> str:
    """Why a tool's word in this output that there are no errors is not good enough; empty where it is.

    Args:
        pieces: all of the output, read once.
        document: the tool that spoke last writes a JSON document.
    """
    last, ending = "", _Ending(pieces)
    for line in _lines(ending):
        if _FAILURE.search(line):
            return f"it has a line that tells of a failure: {_shown(line)}"
        if not _HARMLESS.fullmatch(line):
            last = line
    if _CLEAN.fullmatch(last.strip()) or (document and ending.is_closed and _DOCUMENT.fullmatch(last)):
        return ""
    return f"something else follows on that: {_shown(last)}"


class _Ending:
    """Hands pieces on, and keeps what the last of them end with: of a line only the beginning is kept."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._end = b""

    @property
    def is_closed(self) -> bool:
        """Whether it ends with a bracket, blanks aside, whatever its encoding."""
        return self._end.replace(b"\0", b"").rstrip().endswith(_CLOSED)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._end = (self._end + piece)[-64:]
            yield piece


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    decoder, cutter = Decoder(), LineCutter()
    for piece in pieces:
        yield from cutter.cut(decoder.decode(piece))
    yield from cutter.cut(decoder.decode(b"", final=True))
    yield from cutter.end()


def _shown(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
