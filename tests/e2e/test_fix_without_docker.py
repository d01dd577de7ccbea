"""Docker goes away in the middle of a `wavepool fix`: nothing of it may then be executed on this host."""

from __future__ import annotations

from pathlib import Path

import anyio.from_thread
import pytest
from fix_ground import Workshop
from typer.testing import CliRunner
from user_git import git
from wavepool_cli import TEST_IMAGE, World

from wavepool.cli import app
from wavepool.cli.fix_checks import FixChecks
from wavepool.core.fixes.values import Checked
from wavepool.errors import DriverUnavailable
from wavepool.testing.daemon_proxy import proxied

pytestmark = pytest.mark.docker

CHECK = 'echo "ruff.toml:1:1: F401 nothing"; exit 1'


@pytest.mark.parametrize("kind", ["clone", "shared"])
def test_batches_do_not_fall_back_to_this_host(
    docker_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    shop, trap = Workshop(docker_world), tmp_path / "executed-on-the-host"
    shop.commit()
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(proxied(tmp_path / "p.sock")) as proxy,
    ):

        class Checks(FixChecks):
            def __call__(self, number: int, directory: Path, run_id: str | None = None) -> Checked:
                checked = super().__call__(number, directory, run_id)
                portal.call(proxy.down)
                return checked

        monkeypatch.setattr("wavepool.cli.fix_course.FixChecks", Checks)
        monkeypatch.setenv("DOCKER_HOST", proxy.host)
        where = ["--workspace", str(shop.repo), "--state-dir", str(docker_world.state), "--workspace-kind", kind]
        words = ["--shell", "--command", CHECK, "--image", TEST_IMAGE, "--budget", "1g", "--", "touch", str(trap)]
        done = CliRunner().invoke(app, ["fix", *where, *words])
    assert "check 1: 1 error" in done.stderr
    assert isinstance(done.exception, DriverUnavailable), done.stderr
    assert done.exception.exit_code == 3
    assert not trap.exists()
    assert git(shop.repo, "branch", "--format=%(refname:short)") == "main"
    assert shop.left() == []
