"""Which readers there are, the most specific first: of two that would take over with a line, the first does."""

from __future__ import annotations

from typing import Final

from wavepool.plan.diagnostics.base import DocumentReader, LineReader
from wavepool.plan.diagnostics.eslint import EslintReader
from wavepool.plan.diagnostics.eslint_json import EslintJsonReader
from wavepool.plan.diagnostics.gcc import GccReader
from wavepool.plan.diagnostics.gcc_json import GccJsonReader
from wavepool.plan.diagnostics.go import GoReader
from wavepool.plan.diagnostics.mypy import MypyReader
from wavepool.plan.diagnostics.mypy_json import MypyJsonReader
from wavepool.plan.diagnostics.plain import PlainReader
from wavepool.plan.diagnostics.pyright import PyrightReader
from wavepool.plan.diagnostics.pyright_json import PyrightJsonReader
from wavepool.plan.diagnostics.pytest import PytestReader
from wavepool.plan.diagnostics.ruff import RuffReader
from wavepool.plan.diagnostics.ruff_json import RuffJsonLinesReader, RuffJsonReader
from wavepool.plan.diagnostics.rust_tests import RustTestReader
from wavepool.plan.diagnostics.rustc import RustcReader
from wavepool.plan.diagnostics.sarif import SarifReader
from wavepool.plan.diagnostics.shellcheck import ShellcheckReader
from wavepool.plan.diagnostics.shellcheck_json import ShellcheckJsonReader
from wavepool.plan.diagnostics.tsc import TscReader

LINE_READERS: Final[tuple[type[LineReader], ...]] = (
    TscReader,
    EslintReader,
    PyrightReader,
    MypyJsonReader,
    MypyReader,
    RuffJsonLinesReader,
    RuffReader,
    PytestReader,
    ShellcheckReader,
    GoReader,
    RustTestReader,
    RustcReader,
    GccReader,
    PlainReader,
)

DOCUMENT_READERS: Final[tuple[type[DocumentReader], ...]] = (
    EslintJsonReader,
    PyrightJsonReader,
    RuffJsonReader,
    SarifReader,
    ShellcheckJsonReader,
    GccJsonReader,
)

_READERS: Final[tuple[type[LineReader | DocumentReader], ...]] = (*LINE_READERS, *DOCUMENT_READERS)

LANGUAGES: Final = tuple(sorted({language for reader in _READERS for language in reader.languages}))
"""What ``--language`` may say beside ``auto``."""


def line_readers(languages: frozenset[str] | None) -> list[LineReader]:
    """New readers of lines for these languages; None: for all."""
    return [reader() for reader in LINE_READERS if _is_for(reader, languages)]


def document_readers(languages: frozenset[str] | None) -> list[type[DocumentReader]]:
    """The kinds of documents that are read for these languages; None: for all."""
    return [reader for reader in DOCUMENT_READERS if _is_for(reader, languages)]


def _is_for(reader: type[LineReader | DocumentReader], languages: frozenset[str] | None) -> bool:
    return languages is None or not reader.languages or not languages.isdisjoint(reader.languages)
