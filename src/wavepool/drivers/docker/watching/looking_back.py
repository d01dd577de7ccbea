"""The first look at a run that nobody watched: which of its containers may have been ended by their daemon.

A run that was never left costs nothing here; one whose daemon is still the same, at most a comparison.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from wavepool.drivers.base import Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.facts import is_remote
from wavepool.drivers.docker.watching.lifetime import remembered_creations
from wavepool.drivers.docker.watching.unwatched import Unwatched
from wavepool.drivers.docker.watching.verdict import UNKNOWN_CODE, Final, read_final


def booted_at() -> datetime:
    """When this machine was started, by its clock of now."""
    return datetime.fromtimestamp(
        time.time() - time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)), UTC
    )


async def look_back(
    api: DockerApi,
    scope: Scope,
    summaries: Sequence[dict[str, Any]],
    began: datetime | None,
    *,
    this_machine_up_since: Callable[[], datetime] = booted_at,
) -> dict[str, Unwatched]:
    """Container id -> what is known of the gap, of each that ended and was started under an earlier daemon.

    Only of one run: what `wavepool spawn` started is nobody's to watch, and may lie there for weeks.

    Args:
        summaries: the listing of `scope`, sidecars included.
        began: when the daemon was started, as `DaemonLifetime` says.

    Raises:
        DriverUnavailable, Refused: the daemon did not answer.
    """
    if scope.run_id is None or scope.detached is not False:
        return {}
    older = await _made_before(api, [each for each in summaries if each.get("State") == "exited"], began)
    info: dict[str, Any] = await api.read("info") if older else {}
    if not older or info.get("LiveRestoreEnabled"):
        return {}
    ended = await _finals(api, older)
    if began is not None:
        ended = {each: final for each, final in ended.items() if final.started_at and final.started_at < began}
    ends = [each.finished_at for each in ended.values() if each.finished_at and each.exit_code != UNKNOWN_CODE]
    ours = _is_this_machine(info, api.address)
    gap = Unwatched(began=began, last_end=max(ends, default=None), up_since=this_machine_up_since() if ours else None)
    return dict.fromkeys(ended, gap)


async def _made_before(
    api: DockerApi, summaries: Sequence[dict[str, Any]], began: datetime | None
) -> list[dict[str, Any]]:
    """Those that the daemon of now has certainly not made; where it cannot say when it began, by what it remembers."""
    if not summaries:
        return []
    if began is not None:
        return [each for each in summaries if int(each.get("Created", 0)) <= began.timestamp()]
    known = await remembered_creations(api)
    return [] if known is None else [each for each in summaries if each["Id"] not in known]


async def _finals(api: DockerApi, summaries: Sequence[dict[str, Any]]) -> dict[str, Final]:
    """The last state of each that was ever started."""
    found: dict[str, Final] = {}
    for each in summaries:
        record = await inspect(api, str(each["Id"]))
        if record is not None and (final := read_final(record["State"])).started_at is not None:
            found[str(each["Id"])] = final
    return found


def _is_this_machine(info: dict[str, Any], address: str) -> bool:
    """A socket may lead elsewhere; a daemon that has another name is taken for another machine's."""
    local = address.startswith("unix://") and not is_remote(info, address)
    return local and info.get("Name") == socket.gethostname()
