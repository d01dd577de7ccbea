"""Two hundred deaths of the orchestrator on real Docker, at random moments and in every phase, with nothing lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import anyio
import pytest
from wavepool_cli import TEST_IMAGE

from wavepool.testing.chaos.kills import NOTHING, PHASE, PHASES
from wavepool.testing.chaos.scenario import FULL
from wavepool.testing.chaos.session import Place, Played, choose, play

KILLS = 200
AT_ONCE = 2
ROUNDS_MAX = 100
SEED = 20_261_126


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("driver", [pytest.param("docker", marks=pytest.mark.docker), "process"])
async def test_two_hundred_kills_lose_and_double_nothing(driver: str, tmp_path: Path, record_property) -> None:
    place = Place(directory=tmp_path, driver=driver, image=TEST_IMAGE, seed=SEED)
    done: list[Played] = []

    def kills() -> int:
        return sum(each.figures["kills"] for each in done)

    async def keep_killing(first: int) -> None:
        [scenario] = choose(["kill"])
        for number in range(first, ROUNDS_MAX, AT_ONCE):
            if kills() >= KILLS:
                return
            done.append(await play(scenario, number, place, FULL))

    async with anyio.create_task_group() as group:
        for first in range(1, AT_ONCE + 1):
            group.start_soon(keep_killing, first)

    total = sum((each.figures for each in done), Counter())
    after = {name.removeprefix(PHASE): count for name, count in total.items() if name.startswith(PHASE)}
    failed = [each for each in done if not each.ok]
    missed = sorted(set(PHASES) - set(after))
    record_property(
        "proof",
        f"{total['kills']} kills in {len(done)} runs on {driver}: {len(failed)} runs failed a check, "
        f"{total['executions']} executions; killed after {_histogram(after)}; phases missed: {missed or 'none'}",
    )
    assert [(each.repeat, each.checks) for each in failed] == []
    assert total["kills"] >= KILLS
    assert missed == []
    assert set(after) <= {*PHASES, NOTHING}


def _histogram(after: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(after.items(), key=lambda item: -item[1]))
