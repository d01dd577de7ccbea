"""Docker's log frames, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.drivers.docker.frames import FrameDecoder


def frame(kind: int, payload: bytes) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8)


@given(parts=frames, cuts=st.lists(st.integers(min_value=1, max_value=17), min_size=1))
def test_every_byte_comes_out_once_however_the_stream_is_cut(parts: list[tuple[int, bytes]], cuts: list[int]) -> None:
    raw = b"".join(frame(kind, payload) for kind, payload in parts)
    decoder = FrameDecoder()
    chunks = []
    position, turn = 0, 0
    while position < len(raw):
        size = cuts[turn % len(cuts)]
        chunks += decoder.feed(raw[position : position + size])
        position, turn = position + size, turn + 1
    assert not decoder.inside
    assert all(chunk.data for chunk in chunks)
    for kind, name in ((1, "stdout"), (2, "stderr")):
        wanted = b"".join(payload for each, payload in parts if each == kind)
        assert b"".join(chunk.data for chunk in chunks if chunk.stream == name) == wanted


def test_a_frame_that_claims_gigabytes_is_passed_on_as_it_comes() -> None:
    decoder = FrameDecoder()
    chunks = decoder.feed(b"\x01\0\0\0\xff\xff\xff\xff" + b"abc")
    assert [chunk.data for chunk in chunks] == [b"abc"]
    assert decoder.inside


def test_half_a_header_is_inside() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"\x01\0\0") == []
    assert decoder.inside


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="not a frame header"):
        FrameDecoder().feed(b"plain text output\n")
