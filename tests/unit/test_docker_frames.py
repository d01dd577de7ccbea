"""Docker's log frames, cut anywhere, and the newlines that its `local` log driver drops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.drivers.docker.output.frames import PIECE_BYTES, FrameDecoder

TIMES = (b"2026-11-26T23:15:31.678413676Z ", b"2026-11-26T23:15:31.678413676+05:45 ")
FULL = b"x" * PIECE_BYTES


def frame(kind: int, payload: bytes, time: bytes = TIMES[0]) -> bytes:
    return bytes([kind, 0, 0, 0]) + (len(time) + len(payload)).to_bytes(4, "big") + time + payload


def logged(output: bytes, *, keeps_newlines: bool) -> list[bytes]:
    """What an engine makes of one stream's output: 20.10 and older drop the newline of a split line, newer keep it."""
    messages: list[bytes] = []
    lines = output.split(b"\n")
    for number, line in enumerate(lines):
        pieces = [line[start : start + PIECE_BYTES] for start in range(0, len(line), PIECE_BYTES)]
        if number == len(lines) - 1:
            messages += pieces  # no newline at the end of the output
        elif len(line) < PIECE_BYTES:
            messages.append(line + b"\n")
        else:
            last = pieces.pop() if len(line) % PIECE_BYTES else b""
            messages += [*pieces, last + (b"\n" if keeps_newlines else b"")]
    return messages


def decoded(raw: bytes, cuts: list[int]) -> dict[str, bytes]:
    decoder = FrameDecoder()
    found = {"stdout": b"", "stderr": b""}
    position, turn = 0, 0
    while position < len(raw):
        size = cuts[turn % len(cuts)]
        for chunk in decoder.feed(raw[position : position + size]):
            assert chunk.data
            found[chunk.stream] += chunk.data
        position, turn = position + size, turn + 1
    assert not decoder.inside
    return found


sizes = st.sampled_from([0, 1, 7, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 40_000])
outputs = st.lists(sizes, max_size=5).map(lambda found: b"\n".join(b"\xfe" * size for size in found))
cuts = st.lists(st.sampled_from([1, 3, 17, 1000, 16_000, 70_000]), min_size=1, max_size=3)


@given(out=outputs, err=outputs, turns=st.randoms(), keeps=st.booleans(), time=st.sampled_from(TIMES), cuts=cuts)
def test_every_byte_comes_back_however_the_stream_is_cut(
    out: bytes, err: bytes, turns: object, keeps: bool, time: bytes, cuts: list[int]
) -> None:
    """Both streams interleaved; a newline after the last short piece of a long line is the one that is not known."""
    waiting = {kind: logged(output, keeps_newlines=keeps) for kind, output in ((1, out), (2, err))}
    raw = b""
    while any(waiting.values()):
        kind = turns.choice([kind for kind, messages in waiting.items() if messages])  # type: ignore[attr-defined]
        raw += frame(kind, waiting[kind].pop(0), time)
    small = 1 if len(raw) < 5000 else 1000
    found = decoded(raw, [max(cut, small) for cut in cuts])
    for name, wanted in (("stdout", out), ("stderr", err)):
        last_line = wanted.removesuffix(b"\n").rsplit(b"\n", 1)[-1]
        unknown = not keeps and len(last_line) > PIECE_BYTES and len(last_line) % PIECE_BYTES and wanted.endswith(b"\n")
        assert found[name] == (wanted.removesuffix(b"\n") if unknown else wanted)


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        pytest.param([FULL, b"end", b"next\n"], FULL + b"end\nnext\n", id="the end of a split line"),
        pytest.param([FULL, b"", b"next\n"], FULL + b"\nnext\n", id="a line of exactly one piece"),
        pytest.param([FULL, FULL, b""], FULL + FULL + b"\n", id="the same at the end of the output"),
        pytest.param([FULL, b"end"], FULL + b"end", id="a newline that is not known"),
        pytest.param([b"end", b"next\n"], b"end\nnext\n", id="what rotation left of a split line"),
        pytest.param([FULL, b"end\n", b"next\n"], FULL + b"end\nnext\n", id="an engine that keeps it"),
        pytest.param([b"no newline"], b"no newline", id="an output without newline"),
    ],
)
def test_newlines_that_the_engine_drops(messages: list[bytes], wanted: bytes) -> None:
    assert decoded(b"".join(frame(1, each) for each in messages), [1 << 20])["stdout"] == wanted


def at(second: int) -> bytes:
    return b"2026-11-26T23:15:%02d.000000000Z " % second


def read_twice(first: list[tuple[int, bytes]], second: list[tuple[int, bytes]]) -> list[tuple[bytes, bool]]:
    """The chunks of a second reading of a log, of which a first gave `first`: (second, text) of each message."""
    decoder = FrameDecoder()
    decoder.feed(b"".join(frame(1, text, at(second)) for second, text in first))
    again = FrameDecoder(after=decoder.marks)
    chunks = again.feed(b"".join(frame(1, text, at(second)) for second, text in second))
    return [(chunk.data, chunk.gap) for chunk in chunks]


LOG = [(1, b"a\n"), (2, FULL), (2, FULL), (2, b"end"), (3, b"b\n"), (3, b"c\n")]


@pytest.mark.parametrize("given", range(len(LOG) + 1))
def test_a_second_reading_gives_what_the_first_had_not(given: int) -> None:
    whole = read_twice([], LOG)[0][0]
    first = read_twice([], LOG[:given])
    again = read_twice(LOG[:given], LOG)
    assert b"".join(data for data, _ in (*first, *again)) == whole
    assert [gap for _, gap in again] == [False] * len(again)


def test_a_hole_between_two_readings_is_marked() -> None:
    assert read_twice(LOG[:2], [(4, b"d\n"), (5, b"e\n")]) == [(b"d\ne\n", True)]


def test_a_follower_that_is_started_over_gives_nothing_twice() -> None:
    decoder = FrameDecoder()
    again = [*LOG, *LOG[:5], *LOG[5:], (4, b"d\n")]
    chunks = decoder.feed(b"".join(frame(1, text, at(second)) for second, text in again))
    assert b"".join(chunk.data for chunk in chunks) == read_twice([], LOG)[0][0] + b"d\n"


def test_what_comes_after_trouble_is_left_out_and_what_came_before_is_not() -> None:
    decoder = FrameDecoder()
    raw = frame(1, b"a\n") + b"\3\0\0\0\0\0\0\5hello" + frame(1, b"b\n")
    assert [chunk.data for chunk in decoder.feed(raw)] == [b"a\n"]
    assert decoder.trouble


def test_times_are_compared_as_times() -> None:
    """A daemon's clock may be put back an hour for the winter."""
    summer, winter = b"2026-10-25T02:59:59.000000000+02:00 ", b"2026-10-25T02:00:01.000000000+01:00 "
    decoder = FrameDecoder()
    decoder.feed(frame(1, b"a\n", summer))
    again = FrameDecoder(after=decoder.marks)
    assert [each.data for each in again.feed(frame(1, b"a\n", summer) + frame(1, b"b\n", winter))] == [b"b\n"]


def test_a_frame_that_claims_gigabytes_is_passed_on_as_it_comes() -> None:
    decoder = FrameDecoder()
    chunks = decoder.feed(b"\x01\0\0\0\xff\xff\xff\xff" + TIMES[0] + b"abc")
    assert [chunk.data for chunk in chunks] == [b"abc"]
    assert decoder.inside


def test_half_a_header_is_inside() -> None:
    for half in (b"\x01\0\0", b"\x01\0\0\0\0\0\0\x30", frame(1, b"")[:20]):
        decoder = FrameDecoder()
        assert decoder.feed(half) == []
        assert decoder.inside


@pytest.mark.parametrize("raw", [b"plain text output\n", b"\x01\0\0\0\0\0\0\x05hello", b"\x01\0\0\0\0\0\0\x00"])
def test_what_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a frame header|without its time"):
        FrameDecoder().feed(raw)


def gaps(count: int, keeps_bytes: int | None) -> list[bool]:
    decoder = FrameDecoder(keeps_bytes=keeps_bytes)
    return [chunk.gap for _ in range(count) for chunk in decoder.feed(frame(1, b"x" * 99 + b"\n"))]


def test_as_much_as_the_engine_keeps_may_not_be_all() -> None:
    """Its files hold more than the output: lengths, stream and time of each message."""
    assert gaps(6, keeps_bytes=1000) == [False] * 6
    assert gaps(9, keeps_bytes=1000) == [False] * 6 + [True] + [False] * 2
    assert gaps(9, keeps_bytes=None) == [False] * 9


messages = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 1, 0, 2, 3]),
        st.sampled_from([*[b"line\n", b"a line\n", b"\n", b"", b"no end"] * 3, FULL, FULL[:-1] + b"\n"]),
        st.sampled_from([at(1), at(2), at(2), at(3), b"2026-11-26T22:15:02+05:45 "]),
    ),
    max_size=12,
)


class OneByOne(FrameDecoder):
    """Takes each message apart by itself."""

    def _take_lines(self, data: bytes, position: int) -> int:
        return position


def told(decoder: FrameDecoder, raw: bytes, step: int) -> tuple[object, ...]:
    chunks = [decoder.feed(raw[start : start + step]) for start in range(0, len(raw), step)]
    return chunks, decoder.marks, decoder.trouble, decoder.inside


@given(
    first=messages,
    second=messages,
    step=st.sampled_from([50, 97, 200, 1_000_000]),
    keeps_bytes=st.sampled_from([None, 0, 60, 300, 40_000]),
)
def test_lines_that_are_taken_together_tell_the_same(
    first: list[tuple[int, bytes, bytes]], second: list[tuple[int, bytes, bytes]], step: int, keeps_bytes: int | None
) -> None:
    one, two = (b"".join(frame(kind, payload, time) for kind, payload, time in each) for each in (first, second))
    together, alone = FrameDecoder(), OneByOne()
    assert told(together, one, step) == told(alone, one, step)
    assert told(FrameDecoder(together.marks, keeps_bytes), two, step) == told(
        OneByOne(alone.marks, keeps_bytes), two, step
    )
