"""Every driver that can park keeps the contract of parking."""

from __future__ import annotations

import pytest

from wavepool.testing.parking_contract import ParkingContract

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("harness", ["memory", pytest.param("docker", marks=pytest.mark.docker)], indirect=True)
class TestParking(ParkingContract):
    """All tests are inherited."""
