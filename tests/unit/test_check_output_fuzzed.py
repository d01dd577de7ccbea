"""Whatever the bytes are and however they are cut, the reader reads them, and reads the same."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from reading_fuzz import assert_sound, transcripts

TRANSCRIPTS = transcripts()
CUTS = st.lists(st.integers(0, 4000), max_size=6)

TOKENS = [
    *[line for transcript in TRANSCRIPTS for line in transcript.splitlines(keepends=True)[:20]],
    *[bytes([byte]) for byte in b'\x00\t\n\r\x1b[]{}()":,-|=^~ 0'],
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x99",
    b"\x1b[31m",
    b"\x1b]8;;",
    b'{"',
    b"[{",
    b"error",
    b"warning: ",
    b"Found 3 errors",
    b"99999999999999999999",
    b"\xd9\xa3",  # a digit that is none of ASCII's
    b"\xc2\xb2",
]


@given(data=st.binary(max_size=3000), cuts=CUTS)
@example(data=b"", cuts=[])
@example(data=b"[" * 3000, cuts=[1])
@example(data=b'{"' * 1500, cuts=[1000])
@example(data=b"\xff", cuts=[])
def test_any_bytes(data: bytes, cuts: list[int]) -> None:
    assert_sound(data, cuts)


@given(tokens=st.lists(st.sampled_from(TOKENS) | st.binary(max_size=4), max_size=60), cuts=CUTS)
def test_what_tools_write_mixed_up(tokens: list[bytes], cuts: list[int]) -> None:
    assert_sound(b"".join(tokens), cuts)


@given(data=st.data())
def test_transcripts_with_faults(data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(TRANSCRIPTS))[:3000])
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text[start:end] = data.draw(
            st.sampled_from(TOKENS) | st.binary(max_size=8) | st.just(bytes(text[start:end]) * 3)
        )
    assert_sound(bytes(text), data.draw(CUTS))


@given(which=st.sampled_from(TRANSCRIPTS), encoding=st.sampled_from(["utf-16-le", "utf-16-be", "utf-8-sig"]), cuts=CUTS)
def test_transcripts_in_other_encodings(which: bytes, encoding: str, cuts: list[int]) -> None:
    text = which.decode(errors="replace")[:2000]
    assert_sound(text.encode(encoding), cuts)
