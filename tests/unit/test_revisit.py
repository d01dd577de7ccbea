"""Where `exec` leads, by which command, and what it says where there is nothing to look into."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from wavepool.core.facts import (
    AttemptExited,
    AttemptRemoved,
    AttemptSettled,
    AttemptStarted,
    Fact,
    RunOpened,
    Stamped,
    StartIntended,
    TasksAdded,
)
from wavepool.drivers.docker.remains.inside import kept_argv, running_argv
from wavepool.engine.history.revisit import NothingKept, Revisit, revisit
from wavepool.engine.history.runs import RunHistory
from wavepool.errors import NotStarted
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import (
    AttemptId,
    Ending,
    Evidence,
    Handle,
    Isolation,
    Limits,
    LogRecord,
    Mount,
    Resources,
    Rules,
    Surroundings,
    Task,
    Verdict,
    VerdictKind,
    Wave,
)
from wavepool.statedir import StateDir

AT = datetime(2026, 11, 20, tzinfo=UTC)


def opened(workspace: Path, *, driver: str = "docker", **rules: object) -> RunOpened:
    mounts = (Mount(source='/data/a,"b"', target="/data"), Mount(source="/rw", target="/rw", read_only=False))
    around = Surroundings(image="i", workspace=str(workspace), network="n", mounts=mounts, user="7:8")
    return RunOpened(
        run_id="r1",
        owner="o",
        rules=replace(Rules(nodes=()), **rules),  # type: ignore[arg-type]
        surroundings=around,
        driver=driver,
        execution_mode="docker",
        plan_digest="d",
        boot_id="b",
        at=AT,
    )


TASK = Task(
    id="a b",
    key="a-b",
    wave=1,
    tier=1,
    limits=Limits(memory_bytes=64 << 20, cpus=0.5, pids=9),
    prompt="do it",
)


def attempt(
    number: int, kind: VerdictKind | None, *, kept: str | None = None, not_kept: str | None = None
) -> list[Fact]:
    """Facts of one attempt; `kind` None leaves it running."""
    which = AttemptId(TASK.id, number)
    handle = Handle(driver="docker", id=f"id{number}", name=f"name{number}", attempt=which)
    facts: list[Fact] = [
        StartIntended(attempt=which, node=0, held=Resources(1), at=AT),
        AttemptStarted(attempt=which, handle=handle, started_at=AT, deadline_s=None),
    ]
    if kind is not None:
        evidence = Evidence(reason="exit code 3")
        facts += [
            AttemptExited(attempt=which, ending=Ending(kind=kind, evidence=evidence), archive=True),
            AttemptSettled(
                attempt=which,
                verdict=Verdict(kind=kind, exit_code=3, evidence=evidence),
                log=LogRecord(),
                started_at=AT,
                finished_at=AT,
            ),
            AttemptRemoved(attempt=which, kept=kept, not_kept=not_kept),
        ]
    return facts


def look(root: Path, run: RunOpened, *attempts: list[Fact], number: int | None = None) -> Revisit:
    files = StateDir(root / "state").run("r1")
    files.create()
    facts = [run, TasksAdded(waves=(Wave(number=1),), tasks=(TASK,)), *(fact for each in attempts for fact in each)]

    async def append() -> None:
        async with SqliteJournal(files.journal, owner="o", run_id="r1") as journal:
            await journal.append([Stamped(0.0, AT, fact) for fact in facts])

    anyio.run(append)
    return revisit(RunHistory(files), TASK.id, number)


def test_one_that_runs_is_looked_into_where_it_is(tmp_path: Path) -> None:
    found = look(tmp_path, opened(tmp_path), attempt(1, VerdictKind.FAILED, kept="k:1"), attempt(2, None))
    assert (found.attempt.id.number, found.kept) == (2, None)
    assert found.running is not None
    assert running_argv(found.running, (), terminal=True) == ["docker", "exec", "-it", "id2", "sh"]
    assert running_argv(found.running, ("ls", "-l"), terminal=False)[2:] == ["-i", "id2", "ls", "-l"]


def test_else_the_newest_that_was_kept(tmp_path: Path) -> None:
    tries = (attempt(1, VerdictKind.FAILED, kept="k:1"), attempt(2, VerdictKind.SUCCESS))
    found = look(tmp_path, opened(tmp_path), *tries)
    assert (found.attempt.id.number, found.kept, found.running) == (1, "k:1", None)


@pytest.mark.parametrize(
    ("run", "ended", "said"),
    [
        ({}, attempt(1, VerdictKind.FAILED), "Run with --keep-failed"),
        ({"keep_failed": True}, attempt(1, VerdictKind.SUCCESS), "only attempts that did not are kept"),
        ({"keep_failed": True}, attempt(1, VerdictKind.LOST), "nothing was left of"),
        ({"keep_failed": True}, attempt(1, VerdictKind.FAILED, not_kept="no space"), "could not be kept: no space"),
        ({"driver": "process"}, attempt(1, VerdictKind.FAILED), "plain process"),
        ({"driver": "process"}, attempt(1, None), "plain process"),
        ({}, attempt(1, None)[:1], "neither running nor over"),
    ],
)
def test_where_there_is_nothing_it_says_why_and_what_to_do(
    tmp_path: Path, run: dict[str, object], ended: list[Fact], said: str
) -> None:
    with pytest.raises(NothingKept) as caught:
        look(tmp_path, opened(tmp_path, **run), ended)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_kept_image_gets_the_confinement_of_its_attempt(tmp_path: Path) -> None:
    found = look(tmp_path, opened(tmp_path), attempt(1, VerdictKind.FAILED, kept="k:1"))
    argv, given = kept_argv(found.spec, "k:1", ("ls", "-l"), terminal=False, network_is_gone=False)
    text = " ".join(argv)
    for part in (
        "docker run --rm -i ",
        "--pull never",
        "--user 7:8",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        f"--memory {64 << 20} --memory-swap {64 << 20}",
        "--cpus 0.5",
        "--pids-limit 9",
        "--network n",
        f"--mount type=bind,source={tmp_path},target=/workspace ",
        '--mount type=bind,"source=/data/a,""b""",target=/data,readonly',
        "--mount type=bind,source=/rw,target=/rw ",
        "--label wavepool.owner=o --label wavepool.run=r1 --label wavepool.task=a b",
        "--label wavepool.attempt=1 --label wavepool.role=exec",
        "--env TASK_PROMPT --entrypoint ls k:1 -l",
    ):
        assert part in text
    assert given == {"TASK_PROMPT": "do it"}
    assert "do it" not in text


def test_the_network_is_what_was_asked_for_or_what_is_nearest(tmp_path: Path) -> None:
    found = look(tmp_path, opened(tmp_path), attempt(1, VerdictKind.FAILED, kept="k:1"))

    def network(*, gone: bool, asked: str | None = "n") -> str:
        spec = replace(found.spec, network=asked)
        argv, _ = kept_argv(spec, "k:1", (), terminal=True, network_is_gone=gone)
        return argv[argv.index("--network") + 1]

    assert network(gone=False) == "n"
    assert network(gone=True) == "bridge"
    assert network(gone=False, asked=None) == "none"
    none = look(tmp_path / "2", opened(tmp_path, isolation=Isolation.NONE), attempt(1, VerdictKind.OOM, kept="k"))
    assert none.spec.network is None


def test_what_was_never_mounted_is_not_mounted_now(tmp_path: Path) -> None:
    found = look(tmp_path, opened(tmp_path), attempt(1, VerdictKind.FAILED, kept="k:1"))
    spec = replace(found.spec, mounts=(Mount(source="/proc/1", target="/p"),))
    with pytest.raises(NotStarted, match="never mounted"):
        kept_argv(spec, "k:1", (), terminal=True, network_is_gone=False)
    with pytest.raises(NotStarted, match="workspace"):
        kept_argv(
            replace(found.spec, user=None, workspace=tmp_path / "gone"), "k:1", (), terminal=True, network_is_gone=False
        )
