"""What the dashboard's benchmark measures with: the loop meter, and WebSocket frames taken apart."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from bench.loop_meter import MAIN, Policy, delays_s, threads
from bench.websocket import CLOSE, TEXT, Frames, Refused, closing_words, frame

LET_IN = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def test_a_loop_that_is_held_up_is_late_for_all_of_that_time(tmp_path: Path) -> None:
    path = tmp_path / "delays"
    with path.open("ab", buffering=0) as output:
        loop = Policy(output, tell_s=0.3).new_event_loop()
        try:
            loop.call_later(0.02, time.sleep, 0.3)
            loop.run_until_complete(asyncio.sleep(0.7))
        finally:
            loop.close()
    assert threads(path) == {MAIN}
    found = delays_s(path)
    assert max(found) >= 0.25
    assert sum(delay >= 0.1 for delay in found) >= 15  # 20 of its ticks fell due while more than 0.1 s were left
    assert len(found) >= 30
    assert delays_s(path, since_s=time.monotonic()) == delays_s(path, thread="another") == []


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    line = json.dumps({"thread": MAIN, "at_s": 5.0, "delays_s": [0.1, 0.2]})
    (tmp_path / "delays").write_text(f"{line}\n{line[:20]}")
    assert delays_s(tmp_path / "delays") == [0.1, 0.2]
    assert delays_s(tmp_path / "delays", since_s=4.5) == []  # a part of it was measured before
    assert delays_s(tmp_path / "delays", until_s=4.5) == []


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_frames_are_found_wherever_they_are_cut(size: int, piece: int) -> None:
    lengths = {
        0: b"\x00",
        125: b"\x7d",
        126: b"\x7e\x00\x7e",
        65_535: b"\x7e\xff\xff",
        65_536: b"\x7f" + bytes(5) + b"\x01\x00\x00",
    }
    sent = LET_IN + b"\x81" + lengths[size] + b"x" * size + b"\xc1\x01z" + b"\x88\x04\x03\xe9by"
    frames = Frames()
    found = [each for at in range(0, len(sent), piece) for each in frames.take(sent[at : at + piece])]
    assert found == [(TEXT, b"x" * size), (TEXT, b"z"), (CLOSE, b"\x03\xe9by")]
    assert frames.compressed == 1
    assert closing_words(found[-1][1]) == "closed with 1001 by"


def test_who_is_not_let_in_is_told_so() -> None:
    with pytest.raises(Refused, match=r"401 Unauthorized$"):
        list(Frames().take(b"HTTP/1.1 401 Unauthorized\r\n\r\n"))


def test_a_client_masks_what_it_sends_and_sends_little() -> None:
    assert frame(TEXT, b"hi") == b"\x81\x82\x00\x00\x00\x00hi"
    with pytest.raises(ValueError, match="126 bytes are too many"):
        frame(TEXT, b"x" * 126)
