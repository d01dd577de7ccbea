"""Sidecars in a plan: Compose's fields, the plan's and a batch's maps together, and what is refused where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wavepool.errors import PlanError
from wavepool.model import Healthcheck, Limits, Node, Port, Resources, Sidecar, Task, Volume
from wavepool.plan import Plan, TierMap, check_capacity, parse_plan
from wavepool.units import GIB, MIB

FULL = {
    "image": "postgres:16",
    "command": "postgres -c 'shared_buffers=64 MB'",
    "entrypoint": ["/entry.sh"],
    "environment": {"POSTGRES_PASSWORD": "x", "DEBUG": True, "N": 5},
    "healthcheck": {"test": "pg_isready", "interval": "2s", "timeout": "3s", "retries": 4, "start_period": "1m30s"},
    "ports": ["5432", "15432:5432", "127.0.0.2:0:5433/udp", {"target": 80, "published": "8080", "host_ip": "::1"}],
    "expose": ["6379", 6380],
    "volumes": ["pg:/var/lib/pg", "./seed:/seed:ro", {"type": "bind", "source": "/srv", "target": "/srv"}, "/cache"],
    "tmpfs": "/tmp:size=1m",
    "user": "999:999",
    "working_dir": "/var",
    "depends_on": {"cache": {"condition": "service_healthy"}},
    "mem_limit": "128m",
    "cpus": "0.5",
    "pids_limit": 64,
    "shm_size": "16m",
    "cap_add": ["cap_chown", "SETUID"],
    "stop_signal": "SIGINT",
    "stop_grace_period": "20s",
    "x-note": "anything",
}


def plan_of(sidecars: Any = None, *batches: dict[str, Any], nested: bool = False) -> Plan:
    rows = [{"batch_id": f"b{index}", "memory": "64m", "command": "true", **each} for index, each in enumerate(batches)]
    waves: Any = [{"wave_number": 1, "batches": rows}]
    top = {"sidecars": sidecars} if sidecars is not None else {}
    document = {"waves": {"waves": waves, **top}} if nested else {"waves": waves, **top}
    return parse_plan(json.dumps(document).encode(), source="p.json", tiers=TierMap())


def names(task: Task) -> list[str]:
    return [sidecar.name for sidecar in task.sidecars]


def test_every_field_of_compose_that_we_offer_is_read() -> None:
    db = plan_of(None, {"sidecars": {"db": FULL, "cache": {"image": "redis"}}}).tasks[0].sidecars[1]
    assert db == Sidecar(
        name="db",
        image="postgres:16",
        limits=Limits(memory_bytes=128 * MIB, cpus=0.5, pids=64),
        command=("postgres", "-c", "shared_buffers=64 MB"),
        entrypoint=("/entry.sh",),
        env={"POSTGRES_PASSWORD": "x", "DEBUG": "true", "N": "5"},
        healthcheck=Healthcheck(
            test=("CMD-SHELL", "pg_isready"), interval_s=2, timeout_s=3, retries=4, start_period_s=90
        ),
        ports=(
            Port(target=5432),
            Port(target=5432, published=15432),
            Port(target=5433, address="127.0.0.2", protocol="udp"),
            Port(target=80, published=8080, address="::1"),
        ),
        expose=(6379, 6380),
        volumes=(
            Volume(source="pg", target="/var/lib/pg"),
            Volume(source="./seed", target="/seed", read_only=True),
            Volume(source="/srv", target="/srv"),
            Volume(source="cache", target="/cache"),
        ),
        tmpfs=("/tmp:size=1m",),
        user="999:999",
        working_dir="/var",
        depends_on=("cache",),
        shm_bytes=16 * MIB,
        cap_add=("CHOWN", "SETUID"),
        stop_signal="SIGINT",
        stop_grace_s=20,
    )


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        ("environment", ["A=1", "B="], {"A": "1", "B": ""}),
        ("healthcheck", {"disable": True}, Healthcheck(test=("NONE",))),
        ("healthcheck", {"test": ["CMD", "redis-cli", "ping"]}, Healthcheck(test=("CMD", "redis-cli", "ping"))),
        ("healthcheck", {"start_period": "0s", "test": ["NONE"]}, Healthcheck(test=("NONE",))),
        ("ports", [5432], (Port(target=5432),)),
        ("ports", ["[::1]:5432:5433"], (Port(target=5433, published=5432, address="::1"),)),
        ("ports", ["0.0.0.0:5432:5433"], (Port(target=5433, published=5432, address="0.0.0.0"),)),
        ("user", 999, "999"),
        ("tmpfs", ["/a", "/b"], ("/a", "/b")),
        ("command", [], ()),
    ],
)
def test_the_other_forms_of_compose_are_read_too(field: str, given: Any, read: Any) -> None:
    (task,) = plan_of({"s": {"image": "i", field: given}}, {}).tasks
    assert getattr(task.sidecars[0], {"environment": "env"}.get(field, field)) == read


def test_a_sidecar_that_names_no_limits_has_some() -> None:
    (task,) = plan_of({"s": {"image": "i"}}, {}).tasks
    assert task.sidecars[0].limits == Limits(memory_bytes=256 * MIB, cpus=None, pids=512)


@pytest.mark.parametrize("nested", [False, True])
def test_each_task_has_the_plans_sidecars_unless_its_batch_says_otherwise(nested: bool) -> None:
    own = {"db": {"image": "other"}, "cache": None, "extra": {"image": "e"}}
    plan = plan_of(
        {"db": {"image": "d"}, "cache": {"image": "c"}},
        {},
        {"sidecars": own},
        {"sidecars": False},
        {"sidecars": None},
        {"sidecars": {"db": False}},
        nested=nested,
    )
    assert [names(task) for task in plan.tasks] == [["db", "cache"], ["db", "extra"], [], ["db", "cache"], ["cache"]]
    assert plan.tasks[1].sidecars[0].image == "other"
    assert plan.tasks[0].sidecars is plan.tasks[3].sidecars  # a plan of a million tasks keeps them once


def test_dependencies_come_first() -> None:
    (task,) = plan_of(
        {"a": {"image": "i", "depends_on": ["b", "c"]}, "b": {"image": "i", "depends_on": "c"}, "c": {"image": "i"}}, {}
    ).tasks
    assert names(task) == ["c", "b", "a"]


def test_a_field_without_meaning_here_is_left_out_with_a_warning() -> None:
    plan = plan_of({"a": {"image": "i", "restart": "always"}}, {"sidecars": {"b": {"image": "i", "init": True}}})
    assert [warning.partition(": is left out")[0] for warning in plan.warnings] == [
        "sidecars.a.restart",
        "waves[0].batches[0].sidecars.b.init",
    ]


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        ([], "", "an object of services"),
        ({"A b": {"image": "i"}}, ".A b", "lower case"),
        ({"1": {"image": "i"}}, ".1", "a name of"),
        ({"a": []}, ".a", "a service as an object"),
        ({"a": {}}, ".a.image", "an image reference"),
        ({"a": {"image": "i", "imagee": "x"}}, ".a.imagee", "one of the fields"),
        ({"a": {"image": "i", "build": "."}}, ".a.build", "build it first"),
        ({"a": {"image": "i", "privileged": True}}, ".a.privileged", "confined"),
        ({"a": {"image": "i", "deploy": {}}}, ".a.deploy", "mem_limit"),
        ({"a": {"image": "i", "mem_limit": "1m"}}, ".a.mem_limit", "at least 6m"),
        ({"a": {"image": "i", "cpus": 0}}, ".a.cpus", "cores"),
        ({"a": {"image": "i", "pids_limit": True}}, ".a.pids_limit", "a whole number"),
        ({"a": {"image": "i", "cap_add": ["SYS_ADMIN"]}}, ".a.cap_add[0]", "capabilities of CHOWN"),
        ({"a": {"image": "i", "cap_add": "ALL"}}, ".a.cap_add[0]", "capabilities of"),
        ({"a": {"image": "i", "environment": {"LD_PRELOAD": "x"}}}, ".a.environment.LD_PRELOAD", "another variable"),
        ({"a": {"image": "i", "environment": ["HOME"]}}, ".a.environment.HOME", "nothing is passed on"),
        ({"a": {"image": "i", "ports": ["1-2:1-2"]}}, ".a.ports[0]", "no range"),
        ({"a": {"image": "i", "ports": [":0:6379"]}}, ".a.ports[0]", "a port"),
        ({"a": {"image": "i", "ports": ["x:1"]}}, ".a.ports[0]", "a port"),
        ({"a": {"image": "i", "ports": [{"target": 1, "to": 2}]}}, ".a.ports[0].to", "one of target"),
        ({"a": {"image": "i", "ports": ["1.2.3:1:1"]}}, ".a.ports[0]", "a port"),
        ({"a": {"image": "i", "expose": [0]}}, ".a.expose[0]", "from 1"),
        ({"a": {"image": "i", "volumes": ["x:y"]}}, ".a.volumes[0]", "absolute target"),
        ({"a": {"image": "i", "volumes": ["x:/"]}}, ".a.volumes[0]", "absolute target"),
        ({"a": {"image": "i", "volumes": ["~/x:/y"]}}, ".a.volumes[0]", "without ~"),
        ({"a": {"image": "i", "volumes": ["x:/y", "z:/y/"]}}, ".a.volumes[1]", "mounted twice"),
        ({"a": {"image": "i", "volumes": ["../x:/y"]}}, ".a.volumes[0]", "without .."),
        ({"a": {"image": "i", "tmpfs": "/data"}}, ".a.tmpfs", "taken"),
        ({"a": {"image": "i", "user": "a b"}}, ".a.user", "uid:gid"),
        ({"a": {"image": "i", "working_dir": "x"}}, ".a.working_dir", "absolute"),
        ({"a": {"image": "i", "stop_signal": "now!"}}, ".a.stop_signal", "a signal"),
        ({"a": {"image": "i", "healthcheck": {"test": ["ping"]}}}, ".a.healthcheck.test", "begins with"),
        ({"a": {"image": "i", "healthcheck": {"every": 1}}}, ".a.healthcheck.every", "one of"),
        ({"a": {"image": "i", "healthcheck": {"interval": "x"}}}, ".a.healthcheck.interval", "a duration"),
        ({"a": {"image": "i", "healthcheck": {"retries": 0}}}, ".a.healthcheck.retries", "from 1"),
        ({"a": {"image": "i", "command": "echo 'x"}}, ".a.command", "quotes closed"),
        ({"a": {"image": "i", "depends_on": "b"}}, ".a.depends_on", "of the same task"),
        ({"a": {"image": "i", "depends_on": "a"}}, ".a.depends_on", "no circle"),
        (
            {"a": {"image": "i", "depends_on": {"b": {"condition": "service_completed_successfully"}}}},
            ".a.depends_on.b.condition",
            "service_healthy",
        ),
        ({"a-b": {"image": "i"}, "a_b": {"image": "i"}}, ".a_b", "differs"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(given: Any, path: str, words: str) -> None:
    for where, make in (
        ("sidecars", lambda: plan_of(given, {})),
        ("waves[0].batches[0].sidecars", lambda: plan_of(None, {"sidecars": given})),
    ):
        with pytest.raises(PlanError) as caught:
            make()
        assert caught.value.path == where + path
        assert words in caught.value.expected


def test_a_task_that_fits_only_without_its_sidecars_is_refused() -> None:
    plan = plan_of({"db": {"image": "i", "mem_limit": "1g"}}, {"sidecars": False}, {})
    small = Node(name="local", capacity=Resources(1 * GIB))
    with pytest.raises(PlanError, match="for it and its 1 sidecars together") as caught:
        check_capacity(plan, [small])
    assert caught.value.path == "waves[0].batches[1].memory"
    check_capacity(plan, [Node(name="local", capacity=Resources(GIB + 64 * MIB))])
