"""Looking for a text in output: in pieces of any size as if they were one, and on from wherever it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.errors import InfrastructureError
from wavepool.monitoring.logs import archive
from wavepool.monitoring.logs.archive import place_after, read_part, search_file
from wavepool.monitoring.logs.running import Window
from wavepool.monitoring.logs.scanning import AROUND_BYTES, Scanner

outputs = st.lists(st.sampled_from([b"a", b"b", b"ab", b"A", b"\n", b"\xff", b"x" * 150]), max_size=60).map(b"".join)
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=20)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return found


def places(data: bytes, text: bytes) -> list[int]:
    found, at = [], data.lower().find(text.lower())
    while at >= 0:
        found.append(at)
        at = data.lower().find(text.lower(), at + len(text))
    return found


@given(outputs, cuts, st.sampled_from([b"a", b"ab", b"aba", b"b\na", b"\xff", b"xx"]))
def test_all_is_found_however_it_is_cut(data: bytes, sizes: list[int], text: bytes) -> None:
    scanner = Scanner(text, at=0, most=10_000)
    for piece in pieces(data, sizes):
        scanner.feed(piece)
    scanner.finish(at_end=True)
    assert [match.offset for match in scanner.matches] == places(data, text)
    assert scanner.next_offset == len(data)
    for match in scanner.matches:
        assert match.line[match.column : match.column + match.size].lower() == text.lower()
        assert b"\n" not in match.line.replace(text, b"") or b"\n" in text
        assert len(match.line) <= 2 * AROUND_BYTES + len(text)


@given(outputs, cuts, st.sampled_from([b"a", b"ab", b"aba", b"xx"]), st.integers(1, 4), st.integers(1, 5))
def test_a_search_goes_on_where_the_last_one_stopped(
    data: bytes, sizes: list[int], text: bytes, most: int, patience: int
) -> None:
    """It stops at a number of matches, or after some pieces: no match is lost, and none comes twice."""
    found: list[int] = []
    at = 0
    for _ in range(len(data) * 2 + 2):
        scanner = Scanner(text, at=at, most=most)
        looked = at
        for piece in pieces(data[at:], sizes)[: patience + len(text)]:
            scanner.feed(piece)
            looked += len(piece)
            if scanner.full:
                break
        scanner.finish(at_end=looked == len(data))
        found += [match.offset for match in scanner.matches]
        if looked == len(data) and not scanner.full:
            break
        at = scanner.next_offset
    assert found == places(data, text)


def test_a_line_of_any_length_is_told_in_part() -> None:
    scanner = Scanner(b"needle", at=0, most=10)
    for _ in range(40):
        scanner.feed(b"h" * 65536)
    scanner.feed(b"needle")
    for _ in range(40):
        scanner.feed(b"h" * 65536)
    scanner.finish(at_end=True)
    (match,) = scanner.matches
    assert match.offset == 40 * 65536
    assert match.line == b"h" * AROUND_BYTES + b"needle" + b"h" * AROUND_BYTES


def test_case_is_heeded_where_that_is_asked_for() -> None:
    scanner = Scanner(b"Error", at=0, most=10, heed_case=True)
    scanner.feed(b"error Error ERROR")
    scanner.finish(at_end=True)
    assert [match.offset for match in scanner.matches] == [6]


@given(outputs, cuts, st.integers(-50, 200), st.integers(0, 100))
def test_a_window_on_what_comes_in_pieces_is_the_same_part_as_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, sizes: list[int], offset: int, limit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "window.log"
    path.write_bytes(data)
    window = Window(offset, limit)
    for piece in pieces(data, sizes):
        window.feed(piece)
    begin, part, size = read_part(path, offset, limit)
    assert window.part() == (begin, part)
    assert window.total_bytes == size == len(data)


def test_a_file_is_searched_across_its_blocks_and_on_from_where_time_ran_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "READ_BYTES", 7)
    path = tmp_path / "some.log"
    path.write_bytes(b"one needle\ntwo nee" + b"\xff" * 9 + b"\nthree NEEDLE")
    scanner = Scanner(b"needle", at=0, most=100)
    assert search_file(path, scanner, offset=0, bound_s=60) == (True, 40, 40)
    assert [(match.offset, match.line) for match in scanner.matches] == [(4, b"one needle"), (34, b"three NEEDLE")]
    first = Scanner(b"needle", at=0, most=1)
    ended, _, _ = search_file(path, first, offset=0, bound_s=60)
    assert not ended
    second = Scanner(b"needle", at=first.next_offset, most=1)
    search_file(path, second, offset=first.next_offset, bound_s=60)
    assert [match.offset for match in second.matches] == [34]
    none = Scanner(b"needle", at=0, most=1)
    assert search_file(path, none, offset=0, bound_s=0) == (False, 0, 40)
    assert none.next_offset == 0


def test_a_place_is_known_by_what_stands_before_it_only_where_that_stands_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "READ_BYTES", 5)
    path = tmp_path / "some.log"
    path.write_bytes(b"0123456789abcabcd")
    assert place_after(path, b"3456789") == 10
    assert place_after(path, b"abc") is None
    assert place_after(path, b"zzz") is None
    assert place_after(path, b"abcd") == 17


def test_links_and_missing_files_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "link.log").symlink_to("/etc/passwd")
    for name in ("link.log", "missing.log"):
        with pytest.raises(InfrastructureError, match=f"the log {name} cannot be read"):
            read_part(tmp_path / name, 0, 10)
