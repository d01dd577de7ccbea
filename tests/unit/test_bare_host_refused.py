"""A run goes on where it began to be: never on the bare host, where it began in containers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wavepool.core.facts import RunOpened
from wavepool.drivers.base import DriverFacts
from wavepool.errors import DriverUnavailable
from wavepool.model import Node, Resources, Rules, Surroundings
from wavepool.wiring.engines import refuse_bare_host

NODES = (Node(name="pool", capacity=Resources(1 << 30)),)


def began(execution_mode: str) -> RunOpened:
    return RunOpened(
        run_id="r",
        owner="o",
        rules=Rules(nodes=NODES),
        surroundings=Surroundings(image="i", workspace="/w", network="n"),
        driver="pool:coder",
        execution_mode=execution_mode,
        plan_digest="",
        boot_id="b",
        at=datetime(2030, 1, 1, tzinfo=UTC),
    )


def found(execution_mode: str) -> DriverFacts:
    return DriverFacts(driver="pool:coder", version="1", execution_mode=execution_mode, nodes=NODES, remote=True)


def test_a_pool_that_came_back_without_containers_gets_no_run_that_began_in_them() -> None:
    """Its agents do what they like without asking, and nobody allowed them this host."""
    with pytest.raises(DriverUnavailable, match="pool:coder has plain processes of this host now"):
        refuse_bare_host(began("docker"), found("subprocess"))


@pytest.mark.parametrize(("before", "now"), [("docker", "docker"), ("subprocess", "subprocess")])
def test_a_run_goes_on_where_it_was(before: str, now: str) -> None:
    refuse_bare_host(began(before), found(now))
