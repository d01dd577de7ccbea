"""A stage for each test of pools."""

from __future__ import annotations

from pathlib import Path

import pytest
from pool_stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)
