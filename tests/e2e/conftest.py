"""Worlds on each driver, and bystanders whose names look like ours."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("wavepool_cli", "served_page", "dashboard_scene")

from wavepool_cli import TEST_IMAGE, World, docker, world_in  # noqa: E402 - rewritten as it is imported

DOCKER = pytest.param("docker", marks=pytest.mark.docker)


@pytest.fixture(params=["process", DOCKER])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Each scenario that takes this runs on the process driver and on Docker, and must leave nothing behind."""
    if request.param == "docker":
        request.getfixturevalue("bystanders")
    with world_in(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def docker_world(tmp_path: Path, bystanders: None) -> Iterator[World]:
    with world_in(tmp_path, "docker") as made:
        yield made


@pytest.fixture
def process_world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path, "process") as made:
        yield made


class Bystanders:
    """Containers, a network and a volume of other people, with names like ours, one even with another owner's label."""

    def __init__(self) -> None:
        self.suffix = secrets.token_hex(4)
        self.network = f"cfn-network-{self.suffix}"
        self.volume = f"cfn-wave1-data-{self.suffix}"

    def arrive(self) -> None:
        docker("network", "create", self.network)
        docker("volume", "create", self.volume)
        sleeping = ("--network", self.network, TEST_IMAGE, "sleep", "1000000")
        docker("run", "-d", "--name", f"cfn-wave1-foreign-{self.suffix}", "-v", f"{self.volume}:/data", *sleeping)
        labelled = ("--label", "wavepool.owner=0000000000000000", "--label", "wavepool.wave=1")
        docker("run", "-d", "--name", f"cfn-wave1-other-owner-{self.suffix}", *labelled, *sleeping)

    def state(self) -> list[str]:
        """What would differ if anybody had touched one of them."""
        look = "{{.Id}} {{.State.Status}} {{.State.StartedAt}} {{json .NetworkSettings.Networks}}"
        return [
            *docker("inspect", "--format", look, *self._containers()).splitlines(),
            docker("network", "inspect", "--format", "{{.Id}}", self.network),
            docker("volume", "inspect", "--format", "{{.Name}} {{.CreatedAt}}", self.volume),
        ]

    def _containers(self) -> list[str]:
        return [f"cfn-wave1-foreign-{self.suffix}", f"cfn-wave1-other-owner-{self.suffix}"]

    def leave(self) -> None:
        docker("rm", "-f", *self._containers(), check=False)
        docker("network", "rm", self.network, check=False)
        docker("volume", "rm", self.volume, check=False)


@pytest.fixture(scope="session")
def neighbours() -> Iterator[Bystanders]:
    made = Bystanders()
    try:
        made.arrive()
        yield made
    finally:
        made.leave()


@pytest.fixture
def bystanders(neighbours: Bystanders) -> Iterator[None]:
    """Nothing that a scenario does may touch them."""
    before = neighbours.state()
    yield
    assert neighbours.state() == before
