"""Our own log on stderr: read slowly, no more, or not at all, it holds up and ends nothing; and it shows no secret."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

DEADLINE_S = 60.0

MUCH = """
for number in range(5_000):
    log.warning("said", number=number, text="x" * 200)
print("went on", flush=True)
"""


def saying(program: str, begin: str = 'log_to_stderr("warn")', **environ: str) -> subprocess.Popen[bytes]:
    """A process that logs as a verb of the command line does."""
    imports = """
        import os, structlog
        from wavepool.cli.own_log import log_to_stderr
        from wavepool.cli.settings import settings_of
        log = structlog.get_logger("test")
    """
    whole = "\n".join((textwrap.dedent(imports), begin, textwrap.dedent(program)))
    return subprocess.Popen(
        [sys.executable, "-c", whole],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environ},
    )


@pytest.mark.parametrize(("level", "said"), [("warn", True), ("error", False)])
def test_our_log_follows_the_level(level: str, said: bool, tmp_path: Path) -> None:
    begin = f"settings_of(state_dir={str(tmp_path)!r})"
    with saying('log.warning("start not known")', begin, CFN_LOG_LEVEL=level) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert out == b""
    assert (b"start not known" in err) is said


def test_what_is_logged_is_on_stderr_when_the_process_has_ended() -> None:
    with saying('log.info("too low"); log.warning("heard", run="r1")') as process:
        _, said = process.communicate(timeout=DEADLINE_S)
    assert b"heard" in said
    assert b"run=r1" in said
    assert b"too low" not in said
    assert process.returncode == 0


def test_a_reader_that_does_not_read_holds_up_nothing() -> None:
    with saying(f"{MUCH}\nos._exit(0)") as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"went on\n"
        assert process.wait(DEADLINE_S) == 0


def test_a_reader_that_has_gone_ends_nothing() -> None:
    with saying(MUCH) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.close()
        assert process.stdout.read() == b"went on\n"
        process.wait(DEADLINE_S)


def test_an_error_is_told_without_the_variables_around_it() -> None:
    program = """
        def work(token):
            raise ValueError("broken")
        try:
            work("hunter" + "2")
        except ValueError:
            log.exception("a request failed")
    """
    with saying(program) as process:
        _, said = process.communicate(timeout=DEADLINE_S)
    assert b"ValueError: broken" in said
    assert b"hunter2" not in said
