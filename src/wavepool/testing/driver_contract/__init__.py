"""The contract suite: what every driver must do, the memory one included.

Give it a fixture ``harness`` (a `DriverHarness`, entered) and a class of your own::

    pytestmark = pytest.mark.anyio

    class TestMyDriver(DriverContract):
        pass

A test that a driver cannot take (no images, no memory limits) raises `unittest.SkipTest`, which pytest reports.
"""

from wavepool.testing.driver_contract.bounds import OOM_LIMIT_BYTES, SLEEP_S, bounded
from wavepool.testing.driver_contract.endings import EndingContract
from wavepool.testing.driver_contract.giving import GivingContract
from wavepool.testing.driver_contract.once import OnceContract
from wavepool.testing.driver_contract.preparing import PrepareContract
from wavepool.testing.driver_contract.reading import ReadingContract
from wavepool.testing.driver_contract.stopping import StopContract
from wavepool.testing.driver_contract.watching import WatchContract

__all__ = ["OOM_LIMIT_BYTES", "SLEEP_S", "DriverContract", "bounded"]


class DriverContract(
    EndingContract,
    WatchContract,
    OnceContract,
    StopContract,
    ReadingContract,
    GivingContract,
    PrepareContract,
):
    """Tests of what `wavepool.drivers.base.Driver` promises, part by part."""
