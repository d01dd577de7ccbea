"""Networks of one name that several make at once, and one that the engine miscounts, in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from wavepool import labels
from wavepool.drivers.base import NetworkNeed, Scope
from wavepool.drivers.docker.networks.shared import Networks
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import PrepareError
from wavepool.testing.virtual_time import run_virtual

NEED = NetworkNeed(name="shared", labels={labels.OWNER: "me", labels.SCOPE: "shared"})


def entry(number: int, created: str, owner: str = "other") -> dict[str, Any]:
    found = {labels.OWNER: owner, labels.SCOPE: "shared"}
    return {"Id": f"net-{number}", "Name": "shared", "Created": created, "Labels": found, "Containers": {}}


class Engine:
    """The calls that `Networks` makes, on a table.

    `rival` appears with our first create, as if another had made it at the same instant; it stays for `rival_looks`
    listings (None: for ever). `miscounts` is how often a removal is refused though nothing uses the network.
    `ends` are what the engine counts on `net-1`: id -> name; of `containers` it says that they exist.
    """

    def __init__(
        self,
        *,
        rival: dict[str, Any] | None = None,
        rival_looks: int | None = None,
        miscounts: int = 0,
        ends: Mapping[str, str] | None = None,
        containers: Sequence[str] = (),
    ) -> None:
        self.networks: list[dict[str, Any]] = []
        self.removed: list[str] = []
        self._rival = rival
        self._rival_looks = rival_looks
        self._miscounts = miscounts
        self._made = 0
        self._ends = dict(ends or {})
        self._containers = containers
        self.disconnected: list[str] = []

    async def read(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        if path == "networks":
            self._age_rival()
            return list(self.networks)
        if path == "containers/json":
            return []
        if path.startswith("containers/"):
            return self._inspected(path.split("/")[1])
        if path == "networks/net-1":
            return {**self.networks[0], "Containers": {key: {"Name": name} for key, name in self._ends.items()}}
        return next(each for each in self.networks if path.endswith(each["Id"]))

    async def change(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Any:
        if method == "DELETE":
            return self._remove(path.removeprefix("networks/"))
        if path.endswith("/disconnect"):
            asked = dict(body or {})
            assert asked["Force"] is True
            self.disconnected.append(asked["Container"])
            return self._ends.clear()
        self._made += 1
        self.networks.append(entry(100 + self._made, "2026-01-01T00:00:02Z", owner="me"))
        if self._rival is not None and self._made == 1:
            self.networks.append(self._rival)
        return {"Id": self.networks[self._made - 1]["Id"] if self._made == 1 else self.networks[-1]["Id"]}

    def _inspected(self, reference: str) -> dict[str, Any]:
        if reference not in self._containers:
            raise Refused(404, f"No such container: {reference}")
        return {"Id": reference}

    def _remove(self, network: str) -> None:
        if self._miscounts > 0 or (network == "net-1" and self._ends):
            self._miscounts -= 1
            raise Refused(403, f"error while removing network: network {network} id has active endpoints")
        self.removed.append(network)
        self.networks = [each for each in self.networks if each["Id"] != network]

    def _age_rival(self) -> None:
        if self._rival in self.networks and self._rival_looks is not None:
            self._rival_looks -= 1
            if self._rival_looks < 0:
                self.networks.remove(self._rival)


def networks_on(engine: Engine) -> Networks:
    return Networks(engine)  # type: ignore[arg-type]  # the three calls that it makes, and no connection


async def ensure(engine: Engine) -> bool:
    return await networks_on(engine).ensure(NEED)


async def remove(engine: Engine) -> tuple[list[str], list[str]]:
    return await networks_on(engine).remove_empty(Scope(owner="me", shared_network="shared"))


def test_the_younger_goes_at_once() -> None:
    engine = Engine(rival=entry(1, "2026-01-01T00:00:01Z"))
    assert run_virtual(ensure, engine) is False
    assert [each["Id"] for each in engine.networks] == ["net-1"]


def test_the_oldest_stays_when_the_younger_goes() -> None:
    engine = Engine(rival=entry(1, "2026-01-01T00:00:03Z"), rival_looks=2)
    assert run_virtual(ensure, engine) is True
    assert [each["Id"] for each in engine.networks] == ["net-101"]


def test_the_oldest_goes_where_the_younger_was_kept() -> None:
    # Its maker looked before ours was to be seen, and will never look again: one of the two must go all the same.
    engine = Engine(rival=entry(1, "2026-01-01T00:00:03Z"))
    assert run_virtual(ensure, engine) is False
    assert [each["Id"] for each in engine.networks] == ["net-1"]


def test_where_both_went_it_is_made_again() -> None:
    engine = Engine(rival=entry(1, "2026-01-01T00:00:01Z"), rival_looks=1)
    assert run_virtual(ensure, engine) is True
    assert engine.removed == ["net-101"]
    assert [each["Id"] for each in engine.networks] == ["net-102"]


def test_several_that_stay_are_an_error_before_anything_starts() -> None:
    engine = Engine()
    engine.networks = [entry(1, "2026-01-01T00:00:01Z"), entry(2, "2026-01-01T00:00:01Z")]
    with pytest.raises(PrepareError, match="2 networks are called shared") as error:
        run_virtual(ensure, engine)
    assert "docker network rm" in error.value.advice
    assert len(engine.networks) == 2


def test_endpoints_that_go_a_moment_later_are_waited_for() -> None:
    engine = Engine(miscounts=3)
    engine.networks = [entry(1, "2026-01-01T00:00:01Z", owner="me")]
    assert run_virtual(remove, engine) == (["shared"], [])


def test_a_network_that_the_engine_miscounts_is_told_with_advice() -> None:
    engine = Engine(miscounts=10_000)
    engine.networks = [entry(1, "2026-01-01T00:00:01Z", owner="me")]
    removed, errors = run_virtual(remove, engine)
    assert removed == []
    assert len(errors) == 1
    assert "network shared is empty, and yet the engine keeps it" in errors[0]
    assert "wavepool recover" in errors[0]


def test_ends_of_containers_that_are_gone_are_forgotten() -> None:
    # A daemon that was restarted in the middle of a start counts them for ever.
    engine = Engine(ends={"0123": "gone", "ep-4567": ""})
    engine.networks = [entry(1, "2026-01-01T00:00:01Z", owner="me")]
    assert run_virtual(remove, engine) == (["shared"], [])
    assert engine.disconnected == ["gone", "ep-4567"]


@pytest.mark.parametrize("ends", [{"0123": "there"}, {"ep-4567": "there"}, {"there": ""}])
def test_the_end_of_a_container_that_is_there_is_let_alone(ends: Mapping[str, str]) -> None:
    engine = Engine(ends=ends, containers=["there"])
    engine.networks = [entry(1, "2026-01-01T00:00:01Z", owner="me")]
    assert run_virtual(remove, engine) == ([], [])
    assert engine.disconnected == []
