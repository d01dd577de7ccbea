"""Kill a run of ours in the middle, recover it in both ways, and compare the host with what it was."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from wavepool import labels
from wavepool.core.facts import AttemptStarted
from wavepool.drivers.docker.api import DockerApi
from wavepool.testing.chaos.ground import Ground, batch
from wavepool.testing.chaos.orchestrator import Orchestrator, TookTooLong
from wavepool.testing.leaks.sights import FAMILIES, Lookout, Sight, Trail, control_groups, secrets_of

DEADLINE_S = 180.0
"""For one command, and for what is waited for; far beyond what any of them takes."""
SETTLE_S = 15.0
"""How long the engine may take to let go of what was removed: shims, mounts and control groups go a moment later."""
POLL_S = 0.2
AT_WORK = 3
SECRET = "PROOF_SECRET"
WAYS = ("resume", "reap")
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One family of things in one round: how many there were, and what is wrong.

    Attributes:
        before, killed, after: how many could be ours: before the run, when its process was dead, at the end.
        left: what is there at the end and was not before.
        missed: what was there before and is not at the end.
    """

    way: str
    family: str
    before: int
    killed: int
    after: int
    left: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.left and not self.missed


@dataclass(slots=True, kw_only=True)
class Proof:
    """What was seen. `wrong` has a sentence for everything else that is not as it must be."""

    driver: str
    compared: list[Compared] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.wrong and all(each.ok for each in self.compared)

    def result(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "ok": self.ok,
            "driver": self.driver,
            "checks": [
                {
                    "recovered_by": each.way,
                    "compared": each.family,
                    "before": each.before,
                    "killed": each.killed,
                    "after": each.after,
                    "ok": each.ok,
                    "left": list(each.left),
                    "missed": list(each.missed),
                }
                for each in self.compared
            ],
            "wrong": self.wrong,
        }


class Prover:
    """One proof.

    Args:
        root: an empty directory; the caller removes it.
        driver: docker or process.
        image: of the tasks; it has ``sh`` and ``sleep``.
        tell: told each step.
    """

    def __init__(self, root: Path, *, driver: str, image: str, tell: Callable[[str], None]) -> None:
        self._root = root
        self._driver = driver
        self._image = image
        self._tell = tell
        self._proof = Proof(driver=driver)

    async def prove(self) -> Proof:
        """Do it; what goes wrong is in the result. Leaving early (Ctrl-C too) removes what was made.

        Raises:
            DriverUnavailable: the engine went away.
        """
        api = DockerApi() if self._driver == "docker" else None
        try:
            for way in WAYS:
                await self._in_its_place(way, api)
        finally:
            if api is not None:
                await api.close()
        return self._proof

    async def _in_its_place(self, way: str, api: DockerApi | None) -> None:
        place = self._root / way
        place.mkdir()
        ground = Ground(place, driver=self._driver, image=self._image)
        try:
            async with ground:
                lookout = Lookout(root=ground.root, state=ground.state.path, network=ground.network, api=api)
                try:
                    await self._round(way, ground, lookout)
                except TookTooLong as error:
                    self._proof.wrong.append(f"{way}: {error}")
        finally:  # for one that was interrupted, or that found something; the ground has removed all else
            _sweep(ground.owner(), Trail(names=frozenset(_names(ground, way))))

    async def _round(self, way: str, ground: Ground, lookout: Lookout) -> None:
        before = await lookout.look("", Trail())
        self._tell(f"{way}: starting a run of {AT_WORK + 2} tasks, to be killed")
        run = await self._start(ground, way)
        if not await run.until(lambda: _at_work(ground, way), f"{AT_WORK} tasks at work", DEADLINE_S):
            self._proof.wrong.append(f"{way}: the run ended by itself: {run.last_words()}")
            return
        trail = await lookout.trail(ground.owner(), _names(ground, way))
        await run.kill()
        trail = trail.joined(await lookout.trail(ground.owner(), _names(ground, way)))
        killed = await lookout.look(ground.owner(), trail)
        self._tell(f"{way}: killed its process (SIGKILL); {sum(map(len, killed.values()))} things of it are there")
        await self._recover(way, ground)
        after = await self._settled(lookout, ground.owner(), trail, before)
        self._compare(way, before, killed, after)

    async def _start(self, ground: Ground, way: str) -> Orchestrator:
        waiting = "while [ ! -e go ]; do sleep 0.1; done"
        tasks = [batch("quick", "true"), *(batch(f"at-work-{number}", waiting) for number in range(AT_WORK))]
        plan = ground.plan(tasks, [batch("next-wave", "true")])
        options = ("--json", "--secret", SECRET, "--isolate", "wave" if way == "reap" else "shared")
        return await ground.run(plan, way, *options, env={SECRET: "known to the proof alone"})

    async def _recover(self, way: str, ground: Ground) -> None:
        words = ["recover", "--state-dir", str(ground.state.path), "--json"]
        if self._driver == "process":
            words += ["--driver", "process"]
        if way == "resume":
            ground.touch("go")
            words.append("--resume")
        else:
            words += ["--grace", "0s"]
        self._tell(f"{way}: wavepool {' '.join(words[:1] + words[3:])}")
        command = await ground.command(*words, env={SECRET: "known to the proof alone"})
        code = await command.finish(DEADLINE_S)
        if code != 0:
            self._proof.wrong.append(f"{way}: `wavepool recover` ended with {code}: {command.last_words()}")
        self._check_executions(way, ground)

    def _check_executions(self, way: str, ground: Ground) -> None:
        """Nothing ran twice; a resume has done all of it."""
        marks = ground.marks()
        twice = sorted({each for each in marks if marks.count(each) > 1})
        if twice:
            self._proof.wrong.append(f"{way}: these ran more than once: {', '.join(twice)}")
        if way == "resume" and len(set(marks)) != AT_WORK + 2:
            self._proof.wrong.append(f"{way}: only {len(set(marks))} of {AT_WORK + 2} tasks have run")

    async def _settled(self, lookout: Lookout, owner: str, trail: Trail, before: Sight) -> Sight:
        """The last look; the engine gets a moment to let go."""
        after = await lookout.look(owner, trail)
        with anyio.move_on_after(SETTLE_S):
            while any(after[family] - before[family] for family in FAMILIES):
                await anyio.sleep(POLL_S)
                after = await lookout.look(owner, trail)
        return after

    def _compare(self, way: str, before: Sight, killed: Sight, after: Sight) -> None:
        if not killed["processes" if self._driver == "process" else "containers"]:
            self._proof.wrong.append(f"{way}: nothing was left by the killed process, so nothing was proved")
        for family in FAMILIES:
            self._proof.compared.append(
                Compared(
                    way=way,
                    family=family,
                    before=len(before[family]),
                    killed=len(killed[family]),
                    after=len(after[family]),
                    left=tuple(sorted(after[family] - before[family])),
                    missed=tuple(sorted(before[family] - after[family])),
                )
            )


def _sweep(owner: str, trail: Trail) -> None:
    for path in [*secrets_of(owner, trail), *sorted(control_groups(trail), reverse=True)]:
        with contextlib.suppress(OSError):  # gone since, or still being let go of by the kernel
            if os.path.isfile(path):
                os.unlink(path)
            elif path.startswith("/sys/"):
                os.rmdir(path)
            else:
                shutil.rmtree(path)


def _at_work(ground: Ground, run_id: str) -> bool:
    """All that wait are known to run, and have left their mark."""
    facts = ground.facts(run_id)
    started = {stamped.fact.attempt.task_id for stamped in facts if isinstance(stamped.fact, AttemptStarted)}
    waiting = {f"at-work-{number}" for number in range(AT_WORK)}
    return waiting <= started and waiting <= set(ground.marks())


def _names(ground: Ground, run_id: str) -> set[str]:
    """The derived names of all attempts that the run can have had."""
    tasks: Mapping[str, int] = {"quick": 1, **{f"at-work-{number}": 1 for number in range(AT_WORK)}, "next-wave": 2}
    return {
        labels.container_name(owner=ground.owner(), run_id=run_id, task_id=task, wave=wave, attempt=attempt)
        for task, wave in tasks.items()
        for attempt in range(1, _ATTEMPTS + 1)
    }
