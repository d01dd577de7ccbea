"""Every driver keeps the contract."""

from __future__ import annotations

import pytest

from wavepool.testing.driver_contract import DriverContract

pytestmark = pytest.mark.anyio


class TestDrivers(DriverContract):
    """All tests are inherited."""
