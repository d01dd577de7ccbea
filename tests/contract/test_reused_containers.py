"""Every driver that reuses containers keeps the contract."""

from __future__ import annotations

import pytest

from wavepool.testing.reuse_contract import ReuseContract

pytestmark = pytest.mark.anyio


class TestReusedContainers(ReuseContract):
    """All tests are inherited."""
