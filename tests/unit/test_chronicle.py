"""A run as its journal tells it, attempt by attempt; how runs and tasks are found by what people type."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from wavepool.drivers.memory import MemoryWorld
from wavepool.engine.history.chronicle import Chronicle, UnknownAttempt
from wavepool.engine.history.output import LiveChronicle, OutputTeller
from wavepool.engine.history.runs import RunHistory, UnknownRun, find_run
from wavepool.engine.naming import UnknownTask
from wavepool.errors import InputError
from wavepool.model import Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.statedir import StateDir
from wavepool.testing.whole_runs import RUN_ID, SimulatedRun
from wavepool.units import GIB

BYTES = "%00%FFno newline"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    def batch(batch_id: str, *words: str, **fields: object) -> dict[str, object]:
        return {"batch_id": batch_id, "memory": "64m", "files": [], "command": ["sim", *words], **fields}

    batches = [
        batch("lint", f"stdout={BYTES}", "stderr=and more", "duration=2"),
        batch("lint all", "exit=3"),
        batch("Ünïcode", "exit=1"),
        batch("after", depends_on=["lint all"]),
    ]
    made = SimulatedRun(
        plan=parse_plan(
            json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}).encode(), source="plan", tiers=TierMap()
        ),
        rules=Rules(nodes=(Node(name="local", capacity=Resources(GIB)),), max_attempts=2, keep_going=True),
        world=MemoryWorld(),
        directory=tmp_path_factory.mktemp("run"),
    )
    made.process()
    return made


@pytest.fixture
def chronicle(run: SimulatedRun) -> Chronicle:
    return Chronicle.of(RunHistory(run.files).facts())


def test_every_attempt_is_told_with_its_verdict_its_log_and_why_another_followed(chronicle: Chronicle) -> None:
    first, second = chronicle.tasks["lint all"].attempts
    assert (first.id.number, second.id.number) == (1, 2)
    assert first.because == "failed (attempt 1 of 2)"
    assert second.because is None
    told = second.result()
    assert (told["verdict"], told["exit_code"], told["phase"], told["log"]) == (
        "failed",
        3,
        "removed",
        "logs/" + chronicle.tasks["lint all"].task.key + ".2.log",
    )
    assert told["evidence"]["reason"]
    (only,) = chronicle.tasks["lint"].attempts
    assert only.took_s == 2
    assert not only.is_running


def test_states_are_verdicts_or_what_is_under_way(run: SimulatedRun, chronicle: Chronicle) -> None:
    assert {name: story.state for name, story in chronicle.tasks.items()} == {
        "lint": "success",
        "lint all": "failed",
        "Ünïcode": "failed",
        "after": "skipped",
    }
    assert "ended as failed" in (chronicle.tasks["after"].skipped or "")
    seen: dict[str, list[str]] = {}
    growing = Chronicle()
    for stamped in RunHistory(run.files).facts():
        growing.take(stamped)
        for name, story in growing.tasks.items():
            if not seen.setdefault(name, []) or seen[name][-1] != story.state:
                seen[name].append(story.state)
    assert seen["lint"] == ["pending", "intended", "running", "exited", "success"]
    assert [state for state in seen["lint all"] if state == "retrying"] == ["retrying"]


@pytest.mark.parametrize(("text", "found"), [("lint", "lint"), ("lint ", "lint all"), ("a", "after"), ("Ü", "Ünïcode")])
def test_a_task_is_found_by_its_id_or_the_start_of_one(chronicle: Chronicle, text: str, found: str) -> None:
    assert chronicle.task(text).task.id == found
    assert chronicle.task(chronicle.tasks[found].task.key).task.id == found


@pytest.mark.parametrize(("text", "named"), [("li", "'lint', 'lint all'"), ("atfer", "'after'"), ("", "'lint'")])
def test_a_task_that_is_not_found_is_answered_with_those_that_may_be_meant(
    chronicle: Chronicle, text: str, named: str
) -> None:
    with pytest.raises(UnknownTask) as caught:
        chronicle.task(text)
    assert named in caught.value.advice


def test_an_attempt_is_found_by_its_number(chronicle: Chronicle) -> None:
    story = chronicle.tasks["lint all"]
    assert story.attempt(None).id.number == 2
    assert story.attempt(1).id.number == 1
    with pytest.raises(UnknownAttempt, match="no attempt 3") as caught:
        story.attempt(3)
    assert caught.value.advice == "There are 1, 2."
    with pytest.raises(UnknownAttempt, match="has no attempt"):
        chronicle.tasks["after"].attempt(None)


def test_a_run_is_found_by_its_id_the_start_of_one_or_as_the_latest(run: SimulatedRun) -> None:
    place = StateDir(run.directory)
    for text in (RUN_ID, "simul", "latest"):
        assert find_run(place, text).id == RUN_ID
    with pytest.raises(UnknownRun, match="no run 'simulatde'") as caught:
        find_run(place, "simulatde")
    assert RUN_ID in caught.value.advice
    place.run("simulacrum").create()
    with pytest.raises(UnknownRun, match="'simul' is the start of 2 runs") as caught:
        find_run(place, "simul")
    assert "simulacrum, simulated" in caught.value.advice
    with pytest.raises(UnknownRun) as caught:
        find_run(StateDir(run.directory / "nothing"), "latest")
    assert "none yet" in caught.value.advice


class Told:
    """What an `OutputTeller` said of an archived log."""

    def __init__(self, run: SimulatedRun, task: str, **how: Any) -> None:
        self.output = b""
        self.notices: list[str] = []
        self._teller = OutputTeller(
            LiveChronicle(RunHistory(run.files)),
            task,
            open_driver=lambda name: pytest.fail(f"{name} was asked, and all is archived"),
            write=self._write,
            notice=self.notices.append,
            **how,
        )

    def _write(self, data: bytes) -> None:
        self.output += data

    def tell(self, number: int | None = None, *, follow: bool = False) -> None:
        anyio.run(self._teller.follow if follow else self._teller.tell, number)


@pytest.mark.parametrize("follow", [False, True])
def test_an_archived_log_comes_byte_for_byte(run: SimulatedRun, follow: bool) -> None:
    told = Told(run, "lint")
    told.tell(follow=follow)
    assert told.output == b"\x00\xffno newlineand more"
    assert told.notices == []


def test_what_has_no_output_is_told(run: SimulatedRun) -> None:
    with pytest.raises(InputError, match="it was skipped"):
        Told(run, "after").tell()
    with pytest.raises(UnknownAttempt):
        Told(run, "lint").tell(2)
    with pytest.raises(UnknownAttempt):
        Told(run, "lint").tell(2, follow=True)


def test_since_takes_or_leaves_an_archived_log_and_says_so(run: SimulatedRun, chronicle: Chronicle) -> None:
    (attempt,) = chronicle.tasks["lint"].attempts
    assert attempt.started_at is not None
    assert attempt.finished_at is not None
    before = Told(run, "lint", since=attempt.started_at)
    before.tell()
    assert (before.output[:1], before.notices) == (b"\x00", [])
    within = Told(run, "lint", since=attempt.started_at + (attempt.finished_at - attempt.started_at) / 2)
    within.tell()
    assert (within.output[:1], within.notices) == (b"\x00", ["an archived log keeps no times: all of it is shown"])
    after = Told(run, "lint", since=attempt.finished_at.replace(year=2100))
    after.tell()
    assert (after.output, after.notices) == (b"", ["attempt 1 had ended before that"])
