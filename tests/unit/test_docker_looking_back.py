"""What a first look makes of what ended before it: the daemon's own work, or the task's."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from wavepool.drivers.base import Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.looking_back import look_back
from wavepool.drivers.docker.watching.unwatched import DAEMON_AWAY, Unwatched
from wavepool.drivers.docker.watching.verdict import Witnessed, ending, read_final
from wavepool.model import VerdictKind

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
"""When the daemon of now was started."""
RUN = Scope(owner="o", run_id="r", detached=False)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@dataclass
class Engine:
    """A daemon, by what it answers. `ended` maps an id to (when it ended, its exit code); each ran for a minute."""

    ended: dict[str, tuple[datetime | None, int]]
    live_restore: bool = False
    host: str = field(default_factory=socket.gethostname)
    created: tuple[str, ...] = ()
    forgets: bool = False
    started: dict[str, datetime] = field(default_factory=dict)
    address: str = "unix:///run/docker.sock"
    inspected: int = 0

    def started_at(self, container_id: str) -> datetime:
        finished = self.ended[container_id][0]
        return self.started.get(container_id, (finished or NOON - HOUR) - MINUTE)

    def summaries(self) -> list[dict[str, Any]]:
        return [
            {"Id": each, "State": "exited", "Created": int(self.started_at(each).timestamp()) - 1}
            for each in self.ended
        ]

    async def read(self, path: str) -> dict[str, Any]:
        if path == "info":
            return {"LiveRestoreEnabled": self.live_restore, "Name": self.host, "SystemTime": text(NOON + HOUR)}
        container_id = path.split("/")[1]
        if container_id not in self.ended:
            raise Refused(404, "no such container")
        self.inspected += 1
        finished, code = self.ended[container_id]
        return {
            "State": {
                "Status": "exited",
                "ExitCode": code,
                "StartedAt": text(self.started_at(container_id)),
                "FinishedAt": text(finished) if finished else "0001-01-01T00:00:00Z",
            }
        }

    @asynccontextmanager
    async def stream(self, method: str, path: str, params: dict[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        events = [{"Action": "create", "Actor": {"ID": each}} for each in self.created]
        events += [{"Action": "exec_start", "Actor": {"ID": "busy"}}] * (200 if self.forgets else 0)

        async def lines() -> AsyncIterator[bytes]:
            for event in events:
                yield json.dumps(event).encode() + b"\n"

        yield lines()


async def verdicts(
    engine: Engine, *, began: datetime | None = NOON, up_since: datetime = NOON - 9 * HOUR, scope: Scope = RUN
) -> dict[str, VerdictKind]:
    """What a first listing would tell of each."""
    api = cast(DockerApi, engine)
    gaps = await look_back(api, scope, engine.summaries(), began, this_machine_up_since=lambda: up_since)
    found = {}
    for each in engine.ended:
        final = read_final((await engine.read(f"containers/{each}/json"))["State"])
        ended = ending(final, Witnessed(unwatched=gaps.get(each)))
        assert ended is not None
        found[each] = ended.kind
    return found


@pytest.mark.parametrize("code", [0, 3, 143])
@pytest.mark.parametrize("before", [SECOND, DAEMON_AWAY])
async def test_what_ended_just_before_the_daemon_began_is_lost(code: int, before: timedelta) -> None:
    assert await verdicts(Engine({"a": (NOON - before, code)})) == {"a": VerdictKind.LOST}


async def test_what_ended_long_before_on_a_machine_that_was_up_all_the_time_is_its_own() -> None:
    engine = Engine({"a": (NOON - DAEMON_AWAY - SECOND, 0), "b": (NOON - HOUR, 3)})
    assert await verdicts(engine) == {"a": VerdictKind.SUCCESS, "b": VerdictKind.FAILED}


async def test_a_machine_that_was_off_for_a_night_may_have_ended_what_ended_the_evening_before() -> None:
    engine = Engine({"a": (NOON - 15 * HOUR, 0)})
    assert await verdicts(engine, up_since=NOON - MINUTE) == {"a": VerdictKind.LOST}


@pytest.mark.parametrize(
    "how", [{"host": "elsewhere"}, {"address": "tcp://127.0.0.1:2375"}], ids=["another name", "another host"]
)
async def test_that_this_machine_was_up_says_nothing_of_another(how: dict[str, str]) -> None:
    engine = Engine({"a": (NOON - HOUR, 0)}, **how)  # type: ignore[arg-type]
    assert await verdicts(engine) == {"a": VerdictKind.LOST}


async def test_what_others_of_the_run_outlived_for_longer_than_a_stop_takes_is_its_own() -> None:
    evening = NOON - 15 * HOUR
    engine = Engine(
        {
            "long-before": (evening - DAEMON_AWAY - SECOND, 0),
            "its-own-failure": (evening - HOUR, 7),
            "within-a-stop": (evening - DAEMON_AWAY, 0),
            "the-last": (evening, 0),
        }
    )
    assert await verdicts(engine, up_since=NOON - MINUTE) == {
        "long-before": VerdictKind.SUCCESS,
        "its-own-failure": VerdictKind.FAILED,
        "within-a-stop": VerdictKind.LOST,
        "the-last": VerdictKind.LOST,
    }


async def test_an_end_that_the_new_daemon_made_up_is_no_witness() -> None:
    """After a loss of power it notes 255 and its own time, or no time, for what was there."""
    engine = Engine({"a": (NOON - 15 * HOUR, 0), "b": (NOON, 255), "c": (None, 0)})
    assert set((await verdicts(engine, up_since=NOON - MINUTE)).values()) == {VerdictKind.LOST}


async def test_with_live_restore_exit_codes_are_the_tasks_own() -> None:
    engine = Engine({"a": (NOON - SECOND, 0), "b": (NOON - SECOND, 3)}, live_restore=True)
    assert await verdicts(engine) == {"a": VerdictKind.SUCCESS, "b": VerdictKind.FAILED}


async def test_what_this_daemon_started_is_its_own_and_costs_no_call() -> None:
    engine = Engine({"a": (NOON + 5 * MINUTE, 0)})
    assert await look_back(cast(DockerApi, engine), RUN, engine.summaries(), NOON) == {}
    assert engine.inspected == 0


async def test_made_before_and_started_after_is_its_own() -> None:
    engine = Engine({"a": (NOON + MINUTE, 0)}, started={"a": NOON + SECOND})
    engine_made_before = [{**each, "Created": int((NOON - MINUTE).timestamp())} for each in engine.summaries()]
    assert await look_back(cast(DockerApi, engine), RUN, engine_made_before, NOON) == {}
    assert engine.inspected == 1


async def test_what_was_ended_as_the_daemon_began_is_lost() -> None:
    """One that was killed finds its containers running, and ends them as it starts."""
    engine = Engine({"a": (NOON + SECOND, 0)}, started={"a": NOON - HOUR})
    assert await verdicts(engine) == {"a": VerdictKind.LOST}


@pytest.mark.parametrize(
    "scope", [Scope(owner="o", detached=True), Scope(owner="o", run_id="r"), Scope(owner="o", detached=False)]
)
async def test_nobody_s_run_is_looked_back_at(scope: Scope) -> None:
    assert await verdicts(Engine({"a": (NOON - SECOND, 0)}), scope=scope) == {"a": VerdictKind.SUCCESS}


async def test_a_daemon_without_a_default_bridge_is_known_by_what_it_remembers() -> None:
    engine = Engine(
        {"its": (NOON, 0), "earlier": (NOON - MINUTE, 0), "long-before": (NOON - HOUR, 0)}, created=("its", "other")
    )
    assert await verdicts(engine, began=None) == {
        "its": VerdictKind.SUCCESS,
        "earlier": VerdictKind.LOST,
        "long-before": VerdictKind.SUCCESS,
    }


async def test_a_daemon_without_a_default_bridge_that_may_forget_is_taken_for_the_same() -> None:
    assert await verdicts(Engine({"a": (NOON, 0)}, forgets=True), began=None) == {"a": VerdictKind.SUCCESS}


async def test_one_that_was_removed_meanwhile_is_passed_over() -> None:
    engine = Engine({"a": (NOON - SECOND, 0)})
    summaries = [*engine.summaries(), {"Id": "gone", "State": "exited", "Created": 0}]
    assert set(await look_back(cast(DockerApi, engine), RUN, summaries, NOON)) == {"a"}


async def test_a_stop_of_ours_and_a_lost_time() -> None:
    gap = Unwatched(began=NOON)
    assert not gap.ended_by_itself(None)
    final = read_final((await Engine({"a": (NOON - SECOND, 0)}).read("containers/a/json"))["State"])
    ended = ending(final, Witnessed(unwatched=gap, stopped_by_us=True))
    assert ended is not None
    assert ended.kind is VerdictKind.SUCCESS
