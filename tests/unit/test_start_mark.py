"""The start mark of a slot: left once, and what it says of the boot it was left in."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.drivers import start_mark
from wavepool.drivers.start_mark import FILE, is_marked, is_of_this_boot, make_mark, unmake_mark


def test_a_mark_is_left_once_and_names_this_boot(tmp_path: Path) -> None:
    assert not is_marked(tmp_path)
    assert not is_of_this_boot(tmp_path)
    assert make_mark(tmp_path)
    assert not make_mark(tmp_path)
    assert is_marked(tmp_path)
    assert is_of_this_boot(tmp_path)
    unmake_mark(tmp_path)
    unmake_mark(tmp_path)
    assert not is_marked(tmp_path)


@pytest.mark.parametrize("text", ["", "1767225600.000000\n", "1767225600.000000 another-boot\n", "a b c", "\xff\n"])
def test_a_mark_that_does_not_name_this_boot_proves_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, "latin-1")
    assert is_marked(tmp_path)
    assert not is_of_this_boot(tmp_path)


def test_where_the_system_names_no_boots_no_mark_is_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(start_mark, "boot_id", none)
    assert make_mark(tmp_path)
    assert is_marked(tmp_path)
    assert not is_of_this_boot(tmp_path)
