"""The options of `wavepool recover`."""

from __future__ import annotations

import pytest

from wavepool.cli.recover import parse_grace
from wavepool.errors import SettingError


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("0s", 0), (" 0m ", 0), ("10m", 600), ("90", 90)])
def test_a_grace_may_be_nothing_at_all(text: str, seconds: float) -> None:
    assert parse_grace(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "", "1y"])
def test_a_grace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--grace"):
        parse_grace(text)
