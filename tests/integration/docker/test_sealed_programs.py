"""Programs that run beside a task's end, in a container of their own, when that container is taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from wavepool.drivers.base import Scope, Synced
from wavepool.drivers.docker import DockerDriver
from wavepool.engine.attempts.sealing import SealedRuns, sealed_attempt
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.model import AttemptId, Isolation, Limits, Surroundings, Task
from wavepool.statedir import StateDir
from wavepool.units import MIB
from wavepool.workspace.base import Place

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

TASK = Task(id="t", key="t", wave=1, tier=1, limits=Limits(memory_bytes=64 * MIB))
ATTEMPT = AttemptId("t", 1)
WAITS_ONCE = "[ ! -e begun ] || exit 7; touch begun /output/half; sleep 600"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    tmp_path.chmod(0o755)
    (tmp_path / "output").mkdir()
    (tmp_path / "place").mkdir()
    return Place(directory=tmp_path / "place")


async def test_one_whose_container_somebody_removes_is_run_again_with_nothing_of_the_half(
    tmp_path: Path, place: Place, logged: Sequence[Mapping[str, Any]]
) -> None:
    output = tmp_path / "output"
    state_dir = StateDir(tmp_path / "state")
    files = state_dir.run("sealed-programs")
    files.create()
    specs = SpecBuilder(
        owner=state_dir.owner(),
        run_id=files.id,
        surroundings=Surroundings(image="wavepool-test:latest", workspace=str(tmp_path), network="none"),
        isolation=Isolation.NONE,
        secrets={},
    )
    codes: list[int] = []
    async with DockerDriver() as driver, DockerDriver() as other:
        sealed = SealedRuns(driver=driver, specs=specs, files=files, pause=anyio.sleep)

        async def watch(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with driver.watch(Scope(owner=specs.owner, run_id=files.id)) as stream:
                async for seen in stream:
                    if isinstance(seen, Synced):
                        task_status.started()
                    else:
                        sealed.saw(seen)

        async def run() -> None:
            argv = ("/bin/sh", "-c", WAITS_ONCE)
            codes.append(await sealed(TASK, ATTEMPT, argv, place=place, output=output, timeout_s=120))
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            await group.start(watch)
            group.start_soon(run)
            while not (output / "half").exists():  # noqa: ASYNC110 - a file tells nobody that it is there
                await anyio.sleep(0.05)
            await other.remove(specs.handle(other.name, TASK, sealed_attempt(ATTEMPT)))
        left = await other.remove(Scope(owner=specs.owner, run_id=files.id))
    assert codes == [7]
    levels = {each["event"]: each["log_level"] for each in logged}
    assert levels["a sealed program failed"] == "debug"  # whoever asked for it says what came of it; not on a screen
    assert list(output.iterdir()) == []
    assert left.containers == ()
