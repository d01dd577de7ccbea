"""A check on this host: all that it writes is read, and all of it is ended, however it resists."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from wavepool.errors import CheckError, InputError
from wavepool.fixing import host
from wavepool.fixing.checks import Check, Ended, Interrupted, argv_of
from wavepool.fixing.files import WorkspaceFiles
from wavepool.fixing.host import run_on_host
from wavepool.fixing.reading import CheckReading
from wavepool.plan.making.findings import Findings
from wavepool.units import MIB

DEADLINE_S = 60.0
ERROR = "src/a.ts(1,2): error TS2322: no."


class Ground:
    """A workspace, and what the last check told; `said` hears how far it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "src").mkdir()
        (path / "src" / "a.ts").touch()
        self.findings = Findings(WorkspaceFiles(path).place)
        self.said: Callable[[str], None] = lambda line: None

    def run(self, command: str, *, shell: bool = True, timeout_s: float = DEADLINE_S, limit: int = 8 * MIB) -> Ended:
        reading = CheckReading(self.findings, None)
        check = Check(
            argv=argv_of(command, shell=shell),
            shown=command,
            shell=shell,
            workspace=self.path,
            timeout_s=timeout_s,
            output_limit_bytes=limit,
        )
        return anyio.run(run_on_host, check, reading, self.said)

    def pid(self, name: str) -> int:
        """The pid that a process of the check has written."""
        return int((self.path / name).read_text())


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def is_gone(pid: int) -> bool:
    """Whether it has ended; one that its parent has not waited for counts too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def eventually(condition: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + DEADLINE_S
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.02)
    return condition()


def test_both_streams_are_read_and_the_exit_code_is_the_checks_own(ground: Ground) -> None:
    ended = ground.run(f"echo '{ERROR}'; echo '{ERROR.replace('1,2', '3,4')}' >&2; exit 7")
    assert (ended.exit_code, ended.where, ended.output_bytes) == (7, "host", 2 * len(ERROR) + 2)
    assert ground.findings.errors == 2
    assert "TS2322" in ended.last_words


def test_it_has_no_input_no_terminal_and_the_workspace_to_work_in(ground: Ground) -> None:
    ended = ground.run("cat; pwd; ps -o sid= -p $$ | grep -qw $$ && echo own session; test -t 0 || echo no terminal")
    assert ended.last_words.split("\n") == [f"  {ground.path}", "  own session", "  no terminal"]


def test_it_may_close_its_output_and_go_on(ground: Ground) -> None:
    assert ground.run("exec >&- 2>&-; sleep 0.3; echo done >mark; exit 5").exit_code == 5
    assert (ground.path / "mark").exists()


def test_a_pipe_fails_as_the_check_in_it_does(ground: Ground) -> None:
    assert ground.run(f"(echo '{ERROR}'; exit 3) | cat").exit_code == 3


def test_what_is_killed_says_so(ground: Ground) -> None:
    assert ground.run("kill -9 $$").exit_code == -signal.SIGKILL


def test_one_that_lasts_too_long_is_ended_with_all_that_it_started(ground: Ground) -> None:
    began_s = time.monotonic()
    grandchild = "trap : TERM; echo $$ >far; while :; do sleep 100; done"
    with pytest.raises(CheckError, match=r"did not end within 3\.0s"):
        ground.run(f"echo $$ >near; setsid sh -c {shlex.quote(grandchild)} & sleep 100 & wait", timeout_s=3)
    assert time.monotonic() - began_s < DEADLINE_S
    assert eventually(lambda: is_gone(ground.pid("near")) and is_gone(ground.pid("far")))


def test_one_that_ends_well_when_it_is_asked_to_is_not_taken_for_one_that_ended(ground: Ground) -> None:
    with pytest.raises(CheckError, match="did not end"):
        ground.run(f"trap 'echo \"{ERROR}\"; exit 0' TERM; sleep 100 & wait", timeout_s=1)


def test_one_that_heeds_no_signal_is_killed(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "GRACE_S", 0.2)
    with pytest.raises(CheckError):
        ground.run("echo $$ >near; trap '' TERM; while :; do sleep 100; done", timeout_s=2)
    assert eventually(lambda: is_gone(ground.pid("near")))


@pytest.mark.parametrize(
    "left", ["sh -c 'echo $$ >left; exec sleep 100' &", "setsid sh -c 'echo $$ >left; sleep 100' &"]
)
def test_what_it_leaves_with_its_output_open_is_ended_and_told(
    ground: Ground, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "DRAIN_S", 0.5)
    ended = ground.run(f"{left} while ! test -s left; do sleep 0.02; done; echo '{ERROR}'; exit 1")
    assert ended.exit_code == 1
    assert "held its output open" in ended.notices[0]
    assert ground.findings.errors == 1
    assert eventually(lambda: is_gone(ground.pid("left")))


APART = "setsid sh -c 'echo $$ >new; mv new far; exec sleep 1000' >/dev/null 2>&1 </dev/null &"
"""Leaves the group of the check, and its output."""


def test_what_has_left_its_group_and_its_output_ends_with_it(ground: Ground) -> None:
    ended = ground.run(f"{APART} while ! test -e far; do sleep 0.02; done; exit 1")
    assert (ended.exit_code, ended.notices) == (1, ())
    assert is_gone(ground.pid("far"))


ALONE = """
import anyio, sys
from pathlib import Path
from test_checks_on_host import Ground
ground = Ground(Path(sys.argv[1]))
ground.run(sys.argv[2])
"""


def test_it_ends_whole_where_whoever_started_it_is_killed(tmp_path: Path) -> None:
    asked = "trap 'echo asked >asked.new; mv asked.new asked; exit' TERM"
    command = f"{asked}; {APART} while ! test -e far; do sleep 0.02; done; echo $$ >n; mv n near; sleep 1000 & wait"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    planner = subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path), command], env=env)
    assert eventually((tmp_path / "near").exists)
    near, far = (int((tmp_path / name).read_text()) for name in ("near", "far"))
    assert not is_gone(near)
    planner.kill()
    planner.wait()
    assert eventually(lambda: is_gone(near) and is_gone(far))
    assert (tmp_path / "asked").exists()


def test_a_flood_is_ended_at_the_limit(ground: Ground) -> None:
    began_s = time.monotonic()
    with pytest.raises(CheckError, match="wrote more than 8MB") as caught:
        ground.run("echo $$ >near; exec yes", limit=8 * MIB)
    assert "times)" in caught.value.last_words
    assert is_gone(ground.pid("near"))
    assert time.monotonic() - began_s < DEADLINE_S


def test_a_slow_reader_does_not_hold_a_fast_writer_up_and_all_is_read(ground: Ground) -> None:
    lines = 20_000
    program = (
        f"import sys; sys.stdout.write(''.join(f'src/a.ts({{n}},1): error TS1: x\\n' for n in range(1, {lines} + 1)))"
    )
    ended = ground.run(shlex.join([sys.executable, "-c", program]), shell=False)
    assert ended.exit_code == 0
    assert ground.findings.errors == lines


def test_ctrl_c_ends_it_whole(ground: Ground) -> None:
    with pytest.raises(Interrupted):
        ground.run(f"echo $$ >near; kill -INT {os.getpid()}; sleep 100")
    assert is_gone(ground.pid("near"))


def test_who_waits_is_told_how_far_it_is(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "PROGRESS_S", 0.1)

    def said(line: str) -> None:
        if "1 error so far" in line:
            (ground.path / "go").touch()

    monkeypatch.setattr(ground, "said", said)
    ground.run(f"echo '{ERROR}'; echo '{ERROR}'; until [ -e go ]; do sleep 0.05; done")


def script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return f"./{path.name}"


def test_what_cannot_be_run_is_bad_input_with_advice(ground: Ground) -> None:
    cases = {
        "no-such-tool-here": "in no directory of PATH",
        "./missing": "not there",
        "A=1 true": "A=1 is a shell's",
        script(ground.path / "plain", "echo", 0o644): "not executable",
        script(ground.path / "bare", "echo"): "no program",
        script(ground.path / "odd", "#!/no/such/interpreter\n"): "interpreter",
        ".": "not executable",
        "echo " + "x" * 100_000: "at most 100000 bytes",
    }
    for command, words in cases.items():
        with pytest.raises(InputError, match=words):
            ground.run(command, shell=False)
