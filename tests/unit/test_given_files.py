"""What a command is given as a file: up to a bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.cli.given import read_given
from wavepool.errors import UnreadableFile


def test_a_file_is_read_up_to_its_bound_and_not_beyond(tmp_path: Path) -> None:
    file = tmp_path / "plan"
    file.write_bytes(b"12345")
    assert read_given(str(file), "PLAN", most=5) == b"12345"
    with pytest.raises(UnreadableFile, match="it has more than 4 bytes"):
        read_given(str(file), "PLAN", most=4)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "a\0b"])
def test_what_cannot_be_read_is_told_with_what_to_do(path: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_given(path, "PLAN", advice="Name another.")
    assert (caught.value.what, caught.value.advice) == ("PLAN", "Name another.")
