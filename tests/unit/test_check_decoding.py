"""Bytes of a check to lines: whatever the encoding, the line ends, the colours, and wherever the pieces are cut."""

from __future__ import annotations

import codecs
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.plan.diagnostics.decoding import LINE_MAX, Decoder, plain_lines
from wavepool.plan.diagnostics.lines import LineCutter

ERROR = "src/app/[id]/page.ts(2,20): error TS2322: Type 'ünï' is not '✖'.\r\nnext line\r\n"
PLAIN = ["src/app/[id]/page.ts(2,20): error TS2322: Type 'ünï' is not '✖'.", "next line"]


def lines(*pieces: bytes) -> list[str]:
    decoder, cutter = Decoder(), LineCutter()
    found = [line for piece in pieces for line in cutter.cut(decoder.decode(piece))]
    return [*found, *cutter.cut(decoder.decode(b"", final=True)), *cutter.end()]


@pytest.mark.parametrize(
    "data",
    [
        ERROR.encode(),
        codecs.BOM_UTF8 + ERROR.encode(),
        codecs.BOM_UTF16_LE + ERROR.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + ERROR.encode("utf-16-be"),
        ERROR.encode("utf-16-le"),
        ERROR.encode("utf-16-be"),
        ERROR.replace("\r\n", "\n").encode(),
        ERROR.replace("\r\n", "\r").encode(),
        ERROR.replace("\r\n", "\r\r\n").encode(),
        ERROR.rstrip().encode(),
    ],
    ids=["utf-8", "bom", "utf-16-le-bom", "utf-16-be-bom", "utf-16-le", "utf-16-be", "lf", "cr", "crcrlf", "no end"],
)
def test_the_same_lines_in_each_encoding(data: bytes) -> None:
    assert lines(data) == PLAIN
    assert lines(*(bytes([byte]) for byte in data)) == PLAIN


def test_a_short_output_in_utf16_without_a_mark() -> None:
    assert lines("no\n".encode("utf-16-le")) == ["no"]


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert lines(b"a\xff\xfeb\n", b"caf\xe9\n") == ["a��b", "caf�"]


def test_a_character_cut_in_two_by_the_end_is_replaced() -> None:
    assert lines("ü".encode()[:1]) == ["�"]
    assert lines(codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"c") == ["ab�"]


def test_a_mark_in_the_middle_of_joined_files_is_dropped() -> None:
    assert lines(b"a\n" + codecs.BOM_UTF8 + b"b\n") == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("\x1b[96msrc/a.ts\x1b[0m:\x1b[93m1\x1b[0m", ["src/a.ts:1"]),
        ("\x1b[01m\x1b[Ka.c:1:2:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kx", ["a.c:1:2: error: x"]),
        ("\x1b[38;2;255;0;10mred\x1b[39m", ["red"]),
        ("\x1b]8;;https://example.org/TS1\x1b\\TS1\x1b]8;;\x1b\\: x", ["TS1: x"]),
        ("\x1b]8;id=1;file:///a\x07a.py\x1b]8;;\x07:1", ["a.py:1"]),
        ("\x1b]0;title\x07text", ["text"]),
        ("⠙\x1b[1G\x1b[0Ksrc/a.ts(1,2): x", ["⠙", "src/a.ts(1,2): x"]),
        ("\x1b[2K\x1b[Gdone", ["", "done"]),
        ("a\x1b[3Cb", ["a   b"]),
        ("a\x1b[" + 5000 * "9" + "Cb", ["a" + 256 * " " + "b"]),
        ("a\x1b[20Gb", ["a b"]),
        ("\x1bcclear", ["", "clear"]),
        ("\x1b(Bx\x1b[0m", ["x"]),
        ("\x1bP1$r0m\x1b\\x", ["x"]),
        ("a\x9b31mb", ["ab"]),
        ("a\x08\x00b\tc", ["ab\tc"]),
        ("cut off \x1b[3", ["cut off 3"]),
        ("cut off \x1b]8;;http://", ["cut off 8;;http://"]),
    ],
)
def test_colours_links_and_movements(line: str, plain: list[str]) -> None:
    assert plain_lines(line) == plain


def test_a_line_is_kept_up_to_its_bound_and_the_next_one_whole() -> None:
    long = b"x" * (3 * LINE_MAX)
    assert lines(long + b"\nnext\n") == ["x" * LINE_MAX, "next"]
    assert lines(long[:-1], b"x\nne", b"xt\n") == ["x" * LINE_MAX, "next"]
    assert lines(long, long, long) == ["x" * LINE_MAX]


TEXTS = st.lists(
    st.sampled_from(
        ["\r", "\n", "\r\n", "\x1b", "[", "]8;;", "31m", "1G", "\\", "\x07", "ü", "✖", "\ufeff", "\0", "error", "{"]
    ),
    max_size=30,
).map("".join)


@given(
    text=TEXTS,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
    cuts=st.lists(st.integers(0, 80)),
)
def test_where_the_bytes_are_cut_changes_nothing(text: str, encoding: str, cuts: list[int]) -> None:
    data = text.encode(encoding)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    assert lines(*pieces) == lines(data)


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_any_bytes_are_lines_without_control_characters(data: bytes, cut: int) -> None:
    found = lines(data)
    assert lines(data[:cut], data[cut:]) == found
    assert not any(character < " " and character != "\t" for line in found for character in line)
