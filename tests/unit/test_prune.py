"""Which runs are given up, and that their removal is whole, crash safe, and never a live one's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from wavepool.cli.prune import parse_retention, summary_line
from wavepool.core.facts import AttemptRemoved, Fact, Outcome, RunFinished, RunOpened, Stamped
from wavepool.drivers.base import Driver
from wavepool.drivers.keeping import Kept
from wavepool.drivers.memory import Fault, MemoryDriver, MemoryWorld
from wavepool.engine.history.prune import Decided, Pruned, Pruner, Retention, decide
from wavepool.engine.history.runs import RunSummary, Standing, summaries
from wavepool.errors import RunLocked, SettingError
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import AttemptId, Rules, Surroundings
from wavepool.statedir import StateDir
from wavepool.testing.faults import FaultPlan

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DAY_S = 86400.0
OWNER = "0123456789abcdef"


def summary(run_id: str, standing: Standing = Standing.SUCCESS, *, size_bytes: int = 100) -> RunSummary:
    return RunSummary(run_id=run_id, standing=standing, size_bytes=size_bytes)


def decided(found: Sequence[RunSummary], retention: Retention, images: Sequence[Kept] = ()) -> dict[str, str]:
    """run id -> why it stays, or ``goes: `` and why; the n-th run ended n days ago."""
    ages_from = {each.run_id: NOW - timedelta(days=n) for n, each in enumerate(found, 1)}
    kept = {image.run_id: [image] for image in images}
    every = decide(found, retention, NOW, ages_from=ages_from, images=kept)
    return {each.summary.run_id: f"goes: {each.why}" if each.goes else each.why for each in every}


def test_runs_go_by_their_age() -> None:
    found = [summary("a"), summary("b"), summary("c")]
    assert decided(found, Retention(older_than_s=1.5 * DAY_S)) == {
        "a": "its end was 1 days ago",
        "b": "goes: its end was more than 36h00m ago",
        "c": "goes: its end was more than 36h00m ago",
    }


def test_the_newest_are_spared_whatever_their_age() -> None:
    found = [summary("a"), summary("b"), summary("c")]
    told = decided(found, Retention(older_than_s=1.0, keep_last=2))
    assert [run_id for run_id, why in told.items() if why.startswith("goes")] == ["c"]
    assert told["a"] == "it is among the 2 newest"


def test_a_count_alone_gives_up_all_others() -> None:
    told = decided([summary("a"), summary("b")], Retention(keep_last=1))
    assert told == {"a": "it is among the 1 newest", "b": "goes: it is not among the 1 newest"}


def test_the_oldest_go_until_the_rest_fits_and_images_count() -> None:
    found = [summary(name) for name in "abcd"]
    assert list(decided(found, Retention(max_size_bytes=250)).values()) == [
        "there is room for it",
        "there is room for it",
        "goes: all runs take 0MB, more than 0MB",
        "goes: all runs take 0MB, more than 0MB",
    ]
    image = Kept(reference="i", run_id="a", attempt=AttemptId("t", 1), size_bytes=100)
    told = decided(found, Retention(max_size_bytes=250), [image])
    assert [run_id for run_id, why in told.items() if why.startswith("goes")] == ["b", "c", "d"]


@pytest.mark.parametrize("standing", list(Standing))
def test_only_what_is_over_goes_unless_it_is_given_up(standing: Standing) -> None:
    found = [summary("a", standing)]
    goes = decided(found, Retention())["a"].startswith("goes")
    assert goes == (standing in (Standing.SUCCESS, Standing.FAILED, Standing.EMPTY))
    assert decided(found, Retention(unfinished=True))["a"].startswith("goes") == (standing is not Standing.LIVE)
    narrow = decided(found, Retention(only_succeeded=True, unfinished=True))["a"]
    assert narrow.startswith("goes") == (standing not in (Standing.LIVE, Standing.FAILED))


def test_without_any_bound_the_defaults_hold() -> None:
    asked = {"older_than": None, "keep_last": None, "max_size": None, "only_succeeded": False, "unfinished": False}
    assert parse_retention(**asked) == Retention(older_than_s=30 * DAY_S, keep_last=20)
    assert parse_retention(**{**asked, "max_size": "5g"}) == Retention(max_size_bytes=5 << 30)
    for wrong in ({"older_than": "soon"}, {"max_size": "much"}):
        with pytest.raises(SettingError):
            parse_retention(**{**asked, **wrong})


# -- removing --


class Place:
    """A state directory, an engine, and what a prune said."""

    def __init__(self, root: Path) -> None:
        self.state_dir = StateDir(root / "state")
        self.hazards = FaultPlan(0, {})
        self.world = MemoryWorld(hazards=self.hazards)
        self.notices: list[str] = []
        self.runs = 0

    def driver(self, name: str) -> Driver:
        return MemoryDriver(self.world)

    def run(self, run_id: str, *, finished: bool = True, driver: str = "docker", keeps: bool = True) -> None:
        """A run that ended now, or died; with one kept image unless told."""
        files = self.state_dir.run(run_id)
        files.create()
        (files.logs / "a.1.log").write_bytes(b"x" * 10_000)
        around = Surroundings(image="i", workspace="/w", network="n")
        opened = RunOpened(
            run_id=run_id,
            owner=OWNER,
            rules=Rules(nodes=()),
            surroundings=around,
            driver=driver,
            execution_mode="docker",
            plan_digest="d",
            boot_id="b",
            at=NOW,
        )
        self.runs += 1
        at = NOW + timedelta(seconds=self.runs)
        told: list[Fact] = [opened]
        if keeps:
            told.append(AttemptRemoved(attempt=AttemptId("a", 1), kept=f"kept:{run_id}"))
        if finished:
            told.append(RunFinished(outcome=Outcome.SUCCESS, at=at))

        async def append() -> None:
            async with SqliteJournal(files.journal, owner=OWNER, run_id=run_id) as journal:
                await journal.append([Stamped(0.0, NOW, fact) for fact in told])

        anyio.run(append)
        if not keeps:
            return
        kept = Kept(reference=f"kept:{run_id}", run_id=run_id, attempt=AttemptId("a", 1), size_bytes=7)
        self.world.kept[kept.reference] = (OWNER, kept)

    def prune(self, retention: Retention) -> tuple[list[Decided], Pruned]:
        async def work() -> tuple[list[Decided], Pruned]:
            pruner = Pruner(self.state_dir, OWNER, open_driver=self.driver, notice=self.notices.append)
            every, stray = await pruner.survey(retention, NOW)
            return every, await pruner.prune(every, stray)

        return anyio.run(work)

    @property
    def removed(self) -> Path:
        return self.state_dir.path / "removed"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_run_goes_with_its_files_and_its_images(place: Place) -> None:
    for run_id in ("r1", "r2"):
        place.run(run_id)
    every, done = place.prune(Retention(keep_last=1))
    assert (done.removed, done.images, done.problems) == (["r1"], ["kept:r1"], [])
    assert done.freed_bytes > 10_000
    assert summary_line(every, done).startswith("removed 1 of 2 runs and 1 kept image, freed ")
    assert place.state_dir.runs() == ["r2"]
    assert list(place.world.kept) == ["kept:r2"]
    assert list(place.removed.iterdir()) == []


def test_a_live_run_is_never_touched_even_if_it_became_live_a_moment_ago(place: Place) -> None:
    place.run("r1")

    async def work() -> tuple[bool, Pruned]:
        pruner = Pruner(place.state_dir, OWNER, open_driver=place.driver, notice=place.notices.append)
        every, stray = await pruner.survey(Retention(), NOW)
        with place.state_dir.run("r1").lock():
            done = await pruner.prune(every, stray)
        return every[0].goes, done

    goes, done = anyio.run(work)
    assert goes
    assert done.removed == []
    assert place.notices == ["run r1 is kept: it is live"]
    assert place.state_dir.runs() == ["r1"]
    with place.state_dir.run("r1").lock():
        assert place.prune(Retention(unfinished=True))[1].removed == []


def test_an_unfinished_run_goes_only_when_nothing_of_it_is_left(place: Place) -> None:
    place.run("r1", finished=False, keeps=False)
    assert place.prune(Retention())[1].removed == []
    place.hazards = FaultPlan.always(Fault.UNAVAILABLE, most=100)
    place.world.hazards = place.hazards
    _, done = place.prune(Retention(unfinished=True))
    assert done.removed == []
    assert "whether something of it still runs is not known" in done.problems[0]
    place.world.hazards = FaultPlan(0, {})
    assert place.prune(Retention(unfinished=True))[1].removed == ["r1"]


def test_a_run_whose_images_cannot_be_removed_stays_and_is_told_each_time(place: Place) -> None:
    place.run("r1")
    place.world.hazards = FaultPlan.always(Fault.UNAVAILABLE, most=100)
    for _ in range(2):
        every, done = place.prune(Retention())
        assert (done.removed, every[0].goes, every[0].held_up) == ([], False, True)
        assert "kept images of runs that are gone" in done.problems[1]
        assert done.problems[0].startswith("run r1 is kept: what was kept of it (kept:r1) cannot be removed now: ")
        assert list(place.world.kept) == ["kept:r1"]
    place.world.hazards = FaultPlan(0, {})
    _, again = place.prune(Retention())
    assert (again.removed, again.images, again.problems) == (["r1"], ["kept:r1"], [])
    assert place.world.kept == {}


def test_without_an_engine_a_run_with_nothing_kept_goes_all_the_same(place: Place) -> None:
    place.run("r1", driver="process", keeps=False)
    place.world.hazards = FaultPlan.always(Fault.UNAVAILABLE, most=100)
    _, done = place.prune(Retention())
    assert (done.removed, done.problems) == (["r1"], [])
    assert "kept images of runs that are gone" in place.notices[-1]


def test_an_engine_that_goes_away_after_the_survey_leaves_the_run_that_tells_of_its_images(place: Place) -> None:
    place.run("r1")

    async def work() -> Pruned:
        pruner = Pruner(place.state_dir, OWNER, open_driver=place.driver, notice=place.notices.append)
        every, stray = await pruner.survey(Retention(), NOW)
        place.world.hazards = FaultPlan.always(Fault.UNAVAILABLE, most=100)
        return await pruner.prune(every, stray)

    done = anyio.run(work)
    assert done.removed == []
    assert "kept images are left for the next prune" in done.problems[0]
    assert place.state_dir.runs() == ["r1"]


@pytest.mark.parametrize("lock_is_left", [True, False])
def test_a_removal_that_was_cut_off_is_finished_and_never_seen_as_a_run(place: Place, lock_is_left: bool) -> None:
    place.run("r1")
    place.removed.mkdir()
    half = place.removed / "r1.0000"
    place.state_dir.run("r1").path.rename(half)
    (half / "journal.db").unlink()  # the crash came in the middle of it
    (half / "lock").touch()
    if not lock_is_left:
        (half / "lock").unlink()
    assert list(summaries(place.state_dir)) == []
    _, done = place.prune(Retention(keep_last=9))
    assert not half.exists()
    assert done.images == ["kept:r1"]
    assert done.freed_bytes > 10_000


def test_a_removal_that_is_under_way_is_left_to_whoever_does_it(place: Place) -> None:
    place.run("r1")
    with place.state_dir.run("r1").lock():
        place.removed.mkdir()
        half = place.removed / "r1.0000"
        place.state_dir.run("r1").path.rename(half)
        place.prune(Retention())
        assert (half / "journal.db").exists()
    place.prune(Retention())
    assert not half.exists()


def test_who_waited_for_the_lock_of_a_removed_run_does_not_hold_a_file_that_is_gone(place: Place) -> None:
    """Its patience is 0.2 s; the lock is let go the moment that the removal is done, which here takes far less."""
    place.run("r1")
    files = place.state_dir.run("r1")
    waiting = threading.Event()
    outcome: list[bool] = []

    def wait_for_it() -> None:
        waiting.set()
        for _ in range(100):
            try:
                with files.lock():
                    # Whoever looks finds it held: it is the lock of the run that there is now.
                    outcome.append(place.state_dir.run("r1").is_live())
                    return
            except RunLocked:
                continue

    with files.lock():
        thread = threading.Thread(target=wait_for_it)
        thread.start()
        waiting.wait()
        place.state_dir.remove_run("r1")
        assert not place.removed.joinpath("r1").exists()
    thread.join()
    assert outcome == [True]
    assert not files.journal.exists()
