"""What a pool tells of itself, with what only the engine knows of its containers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import anyio

from wavepool.core.pools import Alert, PoolReading, metrics_of
from wavepool.engine.clock import Clock
from wavepool.engine.pools.session import PoolSession
from wavepool.engine.pools.stock import Stock


def container_infos(stocks: Iterable[Stock], clock: Clock) -> list[dict[str, object]]:
    """The seed's nine fields of each container that is in a pool; those of cold tasks are in none."""
    return [info for stock in stocks for info in _infos(stock, stock.book.snapshot(anyio.current_time()), clock)]


def status_of(
    session: PoolSession, stocks: Iterable[Stock], alerts: Sequence[Alert], clock: Clock
) -> dict[str, object]:
    """Ready for JSON: the session, the seed's metrics, each type's pool with its containers, and the warnings."""
    now_s = anyio.current_time()
    stocks = list(stocks)
    readings = [stock.book.snapshot(now_s) for stock in stocks]
    return {
        "session": session.id,
        "driver": session.driver.name,
        "metrics": metrics_of(readings).as_seed(),
        "pools": [_pool(stock, reading, clock) for stock, reading in zip(stocks, readings, strict=True)],
        "alerts": [alert.text for alert in alerts],
    }


def _pool(stock: Stock, reading: PoolReading, clock: Clock) -> dict[str, object]:
    told = asdict(reading)
    told["dispatch"] = {
        how.value: {
            "counts": list(each.counts),
            "sum_s": each.sum_s,
            "p50_s": each.quantile(0.5),
            "p99_s": each.quantile(0.99),
        }
        for how, each in reading.dispatch.items()
    }
    return {
        **told,
        "image": stock.book.agent.image,
        "starts_cold_because": stock.cold or None,
        "trouble": None if stock.trouble is None else str(stock.trouble),
        "drained": stock.drained,
        "max_size": stock.book.settings.max_size,
        "containers": _infos(stock, reading, clock),
    }


def _infos(stock: Stock, reading: PoolReading, clock: Clock) -> list[dict[str, object]]:
    now_s, now = anyio.current_time(), clock.now().utc
    infos = []
    for each in reading.containers:
        container = stock.containers[each.key]
        assert container.handle is not None, "it was parked"
        info = each.as_seed(
            stock.name,
            container_id=container.handle.id,
            now_s=now_s,
            now=now,
            network_id=stock.specs.network,
            volume_id=str(container.workspace),
        )
        infos.append(info)
    return infos
