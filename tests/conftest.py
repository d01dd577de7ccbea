"""Fixtures for every kind of test."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Wavepool runs on asyncio only."""
    return "asyncio"
