"""Fixtures for every kind of test, and the gate before tests that need Docker."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from hypothesis import settings

from browser import browser as browser  # a fixture for every test, as is the next
from checkers import checkers as checkers

# A deadline of an example would make every property a timed test, and machines are shared.
settings.register_profile("wavepool", deadline=None)
settings.load_profile("wavepool")

# Who is started under nohup hands that on, and a test could not see what a closed terminal does. Handlers are not
# handed on: what tests start has the usual action, and they themselves go on.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGHUP, lambda *_: None)

collect_ignore = ["real_checks"]  # they are to fail

TEST_IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
DOCKER_DEADLINE_S = 90

_PROBLEM = pytest.StashKey[str | None]()
_SKIP_REASON = "NOT RUN ON DOCKER"


@pytest.fixture
def logged() -> Iterator[list[Mapping[str, Any]]]:
    """What goes into our own log, whatever level an earlier test has set."""
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Wavepool runs on asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session")
def docker_problem(request: pytest.FixtureRequest) -> str | None:
    """Why no test can run on Docker here, or None."""
    return _docker_problem(request.session)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a test marked `docker` through only if the engine and the test image are there.

    With WAVEPOOL_REQUIRE_DOCKER=1, which CI sets, a missing engine is a failure and not a skip.
    """
    if item.get_closest_marker("docker") is None:
        return
    problem = _docker_problem(item.session)
    if problem is None:
        return
    if os.environ.get("WAVEPOOL_REQUIRE_DOCKER") == "1":
        pytest.fail(f"WAVEPOOL_REQUIRE_DOCKER=1, but Docker cannot be used: {problem}", pytrace=False)
    pytest.skip(f"{_SKIP_REASON}: {problem}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, deal out what waits and what computes in turns, so that neither cores nor engine are idle.

    Unit tests, which are short, are left for the end: then no process has long to do when the others have nothing.
    """
    if not hasattr(config, "workerinput"):
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [path for path in files if "unit" not in path.relative_to(config.rootpath).parts]
    computing = [path for path in files if path not in waiting]
    pairs = zip_longest(waiting, computing)
    items[:] = [item for pair in pairs for path in pair if path is not None for item in files[path]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was proved, in a line for each proof; and loudly, at the very end, that less was than could be."""
    _tell_proofs(terminalreporter)
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if _SKIP_REASON in str(report.longrepr)]
    if not skipped:
        return
    terminalreporter.section("DOCKER TESTS WERE SKIPPED", red=True, bold=True)
    terminalreporter.write_line(f"{len(skipped)} tests need a Docker engine and {TEST_IMAGE}, and did not run:")
    terminalreporter.write_line(str(skipped[0].longrepr[2]) if isinstance(skipped[0].longrepr, tuple) else "")
    terminalreporter.write_line(
        "`make test` as root on Debian brings both; `scripts/engine ensure` says what is missing."
    )


def _tell_proofs(terminalreporter: pytest.TerminalReporter) -> None:
    """A test says what it counted by `record_property("proof", sentence)`."""
    reports = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    lines = [
        f"{report.outcome:7} {value}" for report in reports for name, value in report.user_properties if name == "proof"
    ]
    if lines:
        terminalreporter.section("PROVED", bold=True)
    for line in lines:
        terminalreporter.write_line(line)


def _docker_problem(session: pytest.Session) -> str | None:
    """Asked once per session (under xdist: per worker)."""
    if _PROBLEM not in session.stash:
        session.stash[_PROBLEM] = _ask_docker()
    return session.stash[_PROBLEM]


def _ask_docker() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    try:
        asked = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", TEST_IMAGE],
            capture_output=True,
            text=True,
            timeout=DOCKER_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the daemon did not answer within {DOCKER_DEADLINE_S} s"
    return None if asked.returncode == 0 else asked.stderr.strip()
