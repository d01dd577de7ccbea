"""A fix that dies anywhere comes to the same end, and repeats nothing: its ground is the real one, its world is not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.core.fixes.course import Check, Course, Work, next_step
from wavepool.core.fixes.facts import (
    CheckEnded,
    CheckIntended,
    FixEnded,
    FixFact,
    FixOpened,
    FixResumed,
    MergeIntended,
    RoundEnded,
    RoundIntended,
)
from wavepool.core.fixes.values import Checked, Ending, Worked
from wavepool.engine.merging import Branch, Conflict, Merged, MergePlan, MergeReport
from wavepool.fixing.branch import FixBranch
from wavepool.fixing.checks import CheckLost
from wavepool.fixing.ground import BranchGround, Purse, SharedGround
from wavepool.fixing.iterations import Fixed, FixLog, iterate

NOW = datetime(2026, 11, 27, tzinfo=UTC)
Content = frozenset[str]
"""What is mended, by the names of errors."""


class Killed(BaseException):
    """SIGKILL: nothing that the process would still do happens."""


@dataclass
class World:
    """What outlives the process: the journal, runs, checks, the branch.

    `deadly`: the points at which it dies. `running`: checks that go on, with nobody who waits for them where it died.
    """

    seed: int
    most: int
    deadly: dict[int, type[BaseException]] = field(default_factory=dict)
    journal: list[FixFact] = field(default_factory=list)
    commits: list[Content] = field(default_factory=lambda: [frozenset()])
    tip: int = 0
    head: int = 0
    checks: dict[str, Checked] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    runs: dict[str, dict[str, str]] = field(default_factory=dict)
    points: int = 0
    executed: Counter[str] = field(default_factory=Counter)
    moves: list[tuple[int, int]] = field(default_factory=list)

    def point(self) -> None:
        """The process may die here."""
        self.points += 1
        if death := self.deadly.get(self.points):
            raise death

    def keep(self, fact: FixFact) -> None:
        self.point()
        self.journal.append(fact)
        self.point()

    def verdict(self, batch: str) -> str:
        return Random(f"{self.seed} {batch}").choice(["success"] * 4 + ["failed", "conflict"])


class Tree:
    """The branch and its worktree, as one process has them; takes the place of `FixBranch`."""

    def __init__(self, world: World, course: Course) -> None:
        self.world = world
        self.tree = Path("/tree")
        self.commit = course.commit or "0"
        self.left_out: list[Branch] = []
        meant = course.merge
        assert world.tip == int(self.commit) or (meant is not None and str(world.tip) in (meant.before, meant.after))
        self.as_it_was = world.head == int(self.commit)

    def restore(self) -> None:
        self.as_it_was = False
        self.world.point()
        self.world.head = int(self.commit)

    def changed(self) -> tuple[str, ...]:
        return ()

    def content(self, commit: str | None = None) -> str:
        return str(sorted(self.world.commits[int(commit or self.commit)]))

    def take_in(self, plan: MergePlan, about_to: Any) -> MergeReport | None:
        self.left_out += plan.unsuccessful
        if not plan.branches:
            return None
        world = self.world
        self.world.point()
        tip = str(world.tip)
        report = MergeReport(run_id=plan.run_id, target="branch", before=tip, after=tip, dry_run=False)
        content = world.commits[world.tip]
        for branch in plan.branches:
            if world.verdict(branch.task_id) == "conflict":
                report.conflicts.append(Conflict(branch=branch, files=("a",)))
            else:
                content |= {branch.commit}
                report.merged.append(Merged(branch=branch))
        if content != world.commits[world.tip]:
            world.commits.append(content)
            report.after = str(len(world.commits) - 1)
        about_to(report)
        if report.after != report.before:
            world.moves.append((world.tip, int(report.after)))
            world.tip = int(report.after)
        world.point()
        self._taken_in(report.after)
        return report

    def finish(self, plan: MergePlan, meant: MergeIntended) -> bool:
        left_out = {each.branch for each in meant.left_out}
        merged = {each.commit for each in plan.branches if each.name not in left_out}
        world = self.world
        if str(world.tip) != meant.after or len(merged) != meant.merged or not merged <= world.commits[world.tip]:
            return False
        self._taken_in(meant.after)
        return True

    def _taken_in(self, after: str) -> None:
        self.commit = after
        self.restore()


class Life:
    """One process: it begins with the journal, and ends or dies."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.course = Course()
        for fact in world.journal:
            self.course.apply(fact)
        self.log = FixLog(self.course, world.keep)

    def live(self) -> Fixed:
        if self.course.opened is None:
            self.log.note(
                FixOpened(
                    fix_id="1", command="", where="", kind="", workspace="", most=self.world.most, order="", at=NOW
                )
            )
        else:
            self.log.note(FixResumed(at=NOW))
        branch = cast("FixBranch", Tree(self.world, self.course))
        ground = BranchGround(
            branch,
            self.log,
            check=self.check,
            run=self.run,
            purse=Purse(),
            told=lambda text: None,
            give_up=self.world.running.discard,
        )
        return iterate(ground, self.log)

    def check(self, number: int, directory: Path, run_id: str | None = None) -> Checked:
        world = self.world
        if run_id is not None:
            if run_id not in world.checks.keys() | world.running:
                raise CheckLost("it had not begun")
            return self._told(run_id)
        name = f"check-{world.points}"
        self.log.note(CheckIntended(number=number, run_id=name))
        assert world.head == world.tip == int(self.course.commit or 0)  # what is checked is what is committed
        world.executed[f"check {number}"] += 1
        world.running.add(name)
        return self._told(name)

    def _told(self, name: str) -> Checked:
        world = self.world
        world.point()
        if name not in world.checks:
            world.checks[name] = self._found()
            world.running.remove(name)
        world.point()
        return world.checks[name]

    def _found(self) -> Checked:
        world = self.world
        errors = sorted({f"e{number}" for number in range(1 + world.seed % 7)} - world.commits[world.tip])
        return Checked(passed=not errors, errors=len(errors), batches=len(errors), plan=json.dumps(errors))

    def run(self, step: Work, directory: Path, purse: Purse) -> dict[str, Any]:
        world = self.world
        name = step.run_id or f"run-{world.points}"
        if step.run_id is None:
            self.log.note(RoundIntended(number=step.number, run_id=name))
        done, status = world.runs.setdefault(name, {}), "success"
        try:
            for error in json.loads(step.checked.plan):
                batch = f"{step.number} {error}"
                world.point()
                if batch not in done:
                    world.executed[f"batch {batch}"] += 1
                    done[batch] = error
                    world.point()
        except KeyboardInterrupt:  # a run hears of it itself, and the rest of its batches waits
            status = "interrupted"
        return {"run_id": name, "status": status, "waves": [{"containers": list(map(self._entry, done.items()))}]}

    def _entry(self, done: tuple[str, str]) -> dict[str, Any]:
        batch, error = done
        verdict = self.world.verdict(batch)
        return {
            "batch_id": batch,
            "verdict": "timeout" if verdict == "failed" else "success",
            "exit_code": 0,
            "changes": {"branch": f"feature/{batch}", "commit": error, "base": "0"},
        }


def lives(world: World) -> Fixed:
    """As many processes as it takes."""
    for _ in range(20):
        try:
            fixed = Life(world).live()
        except Killed:
            continue
        except KeyboardInterrupt:  # before it had begun
            continue
        if fixed.ending.is_final:
            return fixed
    raise AssertionError("it comes to no end")


def plain(fixed: Fixed) -> Fixed:
    """Without what differs from one life to the next: names of runs, and times."""

    def worked(each: Worked) -> Worked:
        return replace(each, run_id=None, took_s=0.0, commit=None)

    return replace(fixed, iterations=tuple(replace(each, worked=worked(each.worked)) for each in fixed.iterations))


def same_end(seed: int, most: int, deadly: dict[int, type[BaseException]]) -> None:
    calm, hard = World(seed, most), World(seed, most, deadly)
    expected, found = lives(calm), lives(hard)
    assert plain(found) == plain(expected)
    assert hard.commits[hard.tip] == calm.commits[calm.tip]
    # no check goes on that nobody waits for
    assert not hard.running
    # no batch twice, and no merge that was applied is applied again
    assert {name: number for name, number in hard.executed.items() if name.startswith("batch")} == {
        name: number for name, number in calm.executed.items() if name.startswith("batch")
    }
    # what was merged of a run that was interrupted is not merged again with the rest of it
    interrupted = sum(death is KeyboardInterrupt for death in deadly.values())
    assert len(calm.moves) <= len(hard.moves) <= len(calm.moves) + interrupted
    assert all(before == after for (_, before), (after, _) in zip(hard.moves, hard.moves[1:], strict=False))
    # a check only where its process was interrupted in it: one that was killed is found again
    assert sum(hard.executed.values()) <= sum(calm.executed.values()) + interrupted


@pytest.mark.parametrize("death", [Killed, KeyboardInterrupt])
@pytest.mark.parametrize("seed", [3, 5, 6, 12])
def test_whichever_fact_was_its_last_it_comes_to_the_same_end(seed: int, death: type[BaseException]) -> None:
    calm = World(seed, 3)
    lives(calm)
    assert calm.points > 20
    for point in range(1, calm.points + 1):
        same_end(seed, 3, {point: death})


@pytest.mark.parametrize("seed", [2, 3])
def test_one_that_was_killed_while_it_kept_what_an_interrupted_run_had_done_loses_nothing_of_the_rest(
    seed: int,
) -> None:
    calm = World(seed, 1)
    lives(calm)
    for point in range(1, calm.points + 1):
        for later in range(point + 1, point + 8):
            same_end(seed, 1, {point: KeyboardInterrupt, later: Killed})


@given(
    st.integers(0, 500),
    st.integers(1, 4),
    st.dictionaries(st.integers(1, 120), st.sampled_from([Killed, KeyboardInterrupt]), max_size=6),
)
def test_however_often_it_dies_it_comes_to_the_same_end(
    seed: int, most: int, deadly: dict[int, type[BaseException]]
) -> None:
    same_end(seed, most, deadly)


def test_in_a_shared_directory_a_check_that_was_begun_is_ended_before_the_next_begins(tmp_path: Path) -> None:
    happened: list[str] = []

    def check(number: int, directory: Path, run_id: str | None = None) -> Checked:
        happened.append(f"check {number} {run_id}")
        return Checked(passed=True, errors=0)

    def run(step: Work, directory: Path, purse: Purse) -> dict[str, Any]:
        raise AssertionError("there is nothing to be mended")

    course = Course()
    ground = SharedGround(tmp_path, course, check=check, run=run, purse=Purse(), give_up=happened.append)
    course.apply(
        FixOpened(fix_id="1", command="", where="", kind="shared", workspace="", most=1, order="", at=NOW),
    )
    course.apply(CheckIntended(number=1, run_id="first"))
    for ending in (None, Ending.INFRASTRUCTURE):
        if ending is not None:
            course.apply(FixEnded(ending=ending, at=NOW))
        course.apply(FixResumed(at=NOW))
        step = next_step(course)
        assert isinstance(step, Check)
        ground.check(step)
        assert happened == ["first", "check 1 None"], ending
        happened.clear()
    course.apply(CheckIntended(number=1, run_id="second"))
    assert next_step(course) == Check(number=1, run_id="second")


def test_what_a_round_left_out_is_known_though_its_fix_was_killed_before_the_next_check() -> None:
    course, errors = Course(), Checked(passed=False, errors=2, batches=2)
    course.apply(CheckEnded(number=1, checked=errors))
    whole = Worked(run_id="run", merged=1)
    course.apply(RoundEnded(number=1, worked=replace(whole, interrupted=True)))
    assert course.settled == []  # all of it is done again, and then known
    course.apply(RoundEnded(number=1, worked=whole))
    assert [each.worked for each in course.settled] == [whole]
    course.apply(CheckEnded(number=2, checked=errors))
    assert [each.after for each in course.settled] == [errors]
