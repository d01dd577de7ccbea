"""Sizes and durations, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.errors import InputError, SizeError
from wavepool.units import (
    GIB,
    KIB,
    MEMORY_MAX_BYTES,
    MIB,
    TIB,
    format_duration,
    format_size,
    human_size,
    parse_duration,
    parse_size,
)

sizes = st.integers(1, MEMORY_MAX_BYTES)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("512m", 536_870_912),
        ("1g", 1_073_741_824),
        ("100", 100),
        (100, 100),
        ("1.5g", 3 * GIB // 2),
        ("14.5GB", 29 * GIB // 2),
        ("512MiB", 512 * MIB),
        ("512 mb", 512 * MIB),
        (" 7k ", 7 * KIB),
        ("7B", 7),
        ("2T", 2 * TIB),
        ("0.5k", 512),
        ("1.0001k", 1024),
        (str(MEMORY_MAX_BYTES), MEMORY_MAX_BYTES),
    ],
)
def test_sizes_that_people_write(text: str | int, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-1", "0", "0.1", "NaN", "inf", "1e9g", "1e9", "+1g", "1,5g", "1_0", "m", "512q", "512mm"),
        *(".5g", "1.g", "8388608t", str(MEMORY_MAX_BYTES + 1), "9" * 400, "1g\n1g", "１g", "1 g b", "0x10"),
        *(-1, 0, 10**400, True, None, 1.5, b"1g", [1]),
    ],
)
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(SizeError) as caught:
        parse_size(text)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    assert "size" in caught.value.expected


@given(sizes)
def test_a_formatted_size_reads_back_exactly(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes
    assert len(format_size(size_bytes)) <= len(str(size_bytes)) + 1


@given(st.integers(1, 1000), st.sampled_from(["", "k", "m", "g", "t"]))
def test_every_spelling_of_a_unit_is_the_same_size(number: int, letter: str) -> None:
    spellings = ["", "b"] if not letter else [letter, f"{letter}b", f"{letter}ib"]
    texts = [f"{number}{blank}{unit}" for unit in spellings for blank in ("", " ")]
    assert len({parse_size(variant) for text in texts for variant in (text, text.upper(), f" {text} ")}) == 1


@given(st.decimals("0.001", 10**6, places=3), st.decimals("0.001", 10**6, places=3), st.sampled_from("kmgt"))
def test_more_is_never_less(one: object, other: object, unit: str) -> None:
    def read(number: object) -> int:
        return parse_size(f"{number:f}{unit}")

    assert (one <= other) == (read(one) <= read(other)) or read(one) == read(other)  # type: ignore[operator]


@given(st.text(max_size=12))
def test_any_text_is_a_size_in_range_or_a_size_error(text: str) -> None:
    try:
        size_bytes = parse_size(text)
    except SizeError:
        return
    assert 1 <= size_bytes <= MEMORY_MAX_BYTES


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0MB"), (512 * MIB, "512MB"), (29 * GIB // 2, "14.5GB"), (TIB, "1.0TB")],
)
def test_sizes_for_people_are_rounded(size_bytes: int, text: str) -> None:
    assert human_size(size_bytes) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        (90, 90),
        (1.5, 1.5),
        ("1m36s", 96),
        ("12h", 43_200),
        ("250ms", 0.25),
        ("1d1h1m1s1ms", 90_061.001),
        ("1m250ms", 60.25),
        (" 2H ", 7200),
        ("0.5h", 1800),
    ],
)
def test_durations_that_people_write(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0s",
        "-1",
        "1s1m",
        "1x",
        "NaN",
        "inf",
        "1e3",
        "9" * 400,
        "s",
        "1m 36s",
        True,
        0,
        -5,
        float("nan"),
        1e300,
    ],
)
def test_what_is_no_duration_is_refused(text: str | float) -> None:
    with pytest.raises(InputError):
        parse_duration(text)


@given(st.integers(1, 10**8))
def test_whole_seconds_read_back_and_order_is_kept(seconds: int) -> None:
    assert parse_duration(str(seconds)) == parse_duration(f"{seconds}s") == parse_duration(f"{seconds * 1000}ms")
    assert parse_duration(seconds) < parse_duration(seconds + 1)


@given(st.text(max_size=10))
def test_any_text_is_a_duration_in_range_or_an_input_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except InputError:
        return
    assert 0 < seconds < 1e10


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4s"), (36, "36s"), (59.6, "1m00s"), (96, "1m36s"), (7500, "2h05m")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
