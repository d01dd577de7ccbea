"""Runs scenarios by seed and round, each on a new ground with a bystander beside it, and leaves nothing."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio

from wavepool.errors import SettingError
from wavepool.model import VerdictKind
from wavepool.testing.chaos.catalogue import catalogue
from wavepool.testing.chaos.ground import Ground, batch
from wavepool.testing.chaos.invariants import check_nothing_left, verify
from wavepool.testing.chaos.orchestrator import Orchestrator, TookTooLong
from wavepool.testing.chaos.scenario import Check, Dose, Round, Scenario, Skipped

ROUND_DEADLINE_S = 1800.0
"""Of one round altogether, whatever hangs."""

BYSTANDER = "bystander"
WAITS, ENDS = "bystander-waits", "bystander-ends"
BYSTANDER_S = 120.0
"""In which the bystander must end after it was let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where chaos is made.

    Attributes:
        directory: for the state directories; None for the system's temporary one.
        driver: docker or process.
        image: of the tasks.
        seed: of everything that is random.
    """

    directory: Path | None
    driver: str
    image: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of one round. `skipped` says why it could not be had; `figures` are its counts."""

    scenario: str
    number: int
    seed: int
    injected: tuple[str, ...]
    checks: tuple[Check, ...]
    figures: Counter[str]
    took_s: float
    skipped: str | None = None

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def repeat(self) -> str:
        """The command that does exactly this again."""
        return f"wavepool chaos {self.scenario} --seed {self.seed} --round {self.number}"


def choose(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of these names, all where there are none.

    Raises:
        SettingError: there is no such scenario.
    """
    known = catalogue()
    for name in names:
        if known.get(name) is None:
            raise SettingError("SCENARIO", name, f"one of {', '.join(each.name for each in known)}")
    return [scenario for scenario in known if not names or scenario.name in names]


async def play(
    scenario: Scenario, number: int, place: Place, dose: Dose, notice: Callable[[str], None] = lambda text: None
) -> Played:
    """One round. Whatever happens, also a cancellation, what it made is removed."""
    began_s = time.monotonic()
    if scenario.docker and place.driver != "docker":
        return _skip(scenario, number, place, "it needs Docker, and no daemon answers")
    with _directory(place) as root:
        async with Ground(root, driver=place.driver, image=place.image) as ground:
            rng = Random(f"{place.seed}/{scenario.name}/{number}")
            round_ = Round(number=number, ground=ground, rng=rng, dose=dose)
            try:
                await _play(scenario, round_)
            except Skipped as reason:
                return _skip(scenario, number, place, str(reason))
            except Exception as error:
                round_.check("it came to its end", False, f"{type(error).__name__}: {error}")
            if not round_.ok:
                notice(f"{scenario.name}: {_problems(round_)}")
    return Played(
        scenario=scenario.name,
        number=number,
        seed=place.seed,
        injected=tuple(round_.injected),
        checks=tuple(round_.checks),
        figures=Counter(round_.figures),
        took_s=time.monotonic() - began_s,
    )


async def _play(scenario: Scenario, round_: Round) -> None:
    with anyio.fail_after(ROUND_DEADLINE_S):
        async with _bystander(round_):
            await scenario.play(round_)
        await check_nothing_left(round_)


@asynccontextmanager
async def _bystander(round_: Round) -> AsyncIterator[None]:
    """Another run of the same owner, live as long as the scenario: it must end as if nothing had happened."""
    ground = round_.ground
    waiting = batch(WAITS, "while [ ! -e bystander-may-go ]; do sleep 0.2; done")
    plan = ground.plan([waiting, batch(ENDS, "")])
    process = await ground.run(plan, BYSTANDER, "--isolate", "none", "--timeout", "1h")
    await process.until(lambda: {WAITS, ENDS} <= set(ground.marks()), "a bystander at work", BYSTANDER_S)
    yield
    ground.touch("bystander-may-go")
    await _see_off(round_, process)


async def _see_off(round_: Round, process: Orchestrator) -> None:
    expected = {WAITS: VerdictKind.SUCCESS, ENDS: VerdictKind.SUCCESS}
    aside = Round(number=round_.number, ground=round_.ground, rng=round_.rng, dose=round_.dose)
    try:
        code = await process.finish(BYSTANDER_S)
        aside.check("its exit code", code == 0, f"{code}: {process.last_words()}")
        await verify(aside, BYSTANDER, expected)
    except TookTooLong as error:
        aside.check("it ended", False, str(error))
    round_.check("a run beside it unaffected", aside.ok, _problems(aside))


def _problems(round_: Round) -> str:
    return "; ".join(f"{check.name}: {check.problem}" for check in round_.checks if not check.ok)


def _skip(scenario: Scenario, number: int, place: Place, why: str) -> Played:
    return Played(
        scenario=scenario.name,
        number=number,
        seed=place.seed,
        injected=(),
        checks=(),
        figures=Counter(),
        took_s=0.0,
        skipped=why,
    )


@contextmanager
def _directory(place: Place) -> Iterator[Path]:
    """A new one; removed however the block ends."""
    path = Path(tempfile.mkdtemp(prefix="wavepool-chaos-", dir=place.directory))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
