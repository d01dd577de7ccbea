"""What the interface says and takes, without a server: errors, options, refused verbs, metrics."""

from __future__ import annotations

import inspect
import json
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from wavepool import errors
from wavepool.cli.agent_options import AgentOptions as CliAgentOptions
from wavepool.cli.forms import forms
from wavepool.cli.run import run
from wavepool.engine.control.pools import NoServer
from wavepool.engine.history.runs import UnknownRun
from wavepool.errors import InputError, InvariantBroken, RunLocked, SettingError, WavepoolError
from wavepool.model import VerdictKind
from wavepool.statedir import ServedRun, StateDir
from wavepool.web.api.agent_order import AgentOptions, AgentOrder
from wavepool.web.api.errors import GENERAL, told
from wavepool.web.api.installing import ROUTERS
from wavepool.web.api.launch_order import RunOptions
from wavepool.web.api.tasks import TaskState
from wavepool.web.api.upkeep import PruneOrder, RecoverOrder
from wavepool.web.jobs import Output, check_arguments
from wavepool.web.launching import Launches, LaunchOrder, options_of
from wavepool.web.metrics import TYPES_MAX, OverviewCollector

NOT_OFFERED = {"plan_file", "state_dir", "detach", "output", "json_lines", "dry_run", "learn", "verbose", "dashboard"}
"""Options of `wavepool run` that are about its terminal, or that the server decides."""


def test_the_options_of_a_run_are_those_of_the_command_line() -> None:
    assert set(RunOptions.model_fields) == set(inspect.signature(run).parameters) - NOT_OFFERED


def test_the_options_of_agents_are_those_of_the_command_line() -> None:
    assert set(AgentOptions.model_fields) == {each.name for each in fields(CliAgentOptions)} - NOT_OFFERED


def test_a_form_asks_for_all_that_an_order_takes_and_for_nothing_else() -> None:
    verbs = forms()["verbs"]
    named = {verb: {each["name"] for each in form["options"]} for verb, form in verbs.items()}
    of_prompts = {"agents", "pool", "name"}
    assert named == {
        "run": set(RunOptions.model_fields),
        "task": set(AgentOptions.model_fields) | of_prompts,
        "tasks": set(AgentOptions.model_fields),
        "recover": set(RecoverOrder.model_fields) - {"dry_run"},
        "prune": set(PruneOrder.model_fields) - {"dry_run"},
    }
    assert of_prompts < set(AgentOrder.model_fields)
    options = {each["name"]: each for each in verbs["run"]["options"]}
    assert all(each["help"] and each["group"] for each in options.values())
    assert options["schedule"]["choices"] == ["barrier", "rolling"]
    assert (options["secret"]["kind"], options["keep_going"]["kind"]) == ("list", "flag")
    assert options["budget"]["expected"] == "auto, or a size such as 40g"


def test_every_verdict_is_a_state_to_look_for() -> None:
    assert {kind.value for kind in VerdictKind} < {state.value for state in TaskState}


def test_options_are_spelled_as_on_the_command_line() -> None:
    given = {"keep_going": True, "no_key": False, "retries": 3, "mount": ["-a:/b", "c:/d"], "user": "--x"}
    assert options_of(given) == ["--keep-going", "--retries=3", "--mount=-a:/b", "--mount=c:/d", "--user=--x"]
    for wrong in ("a\0b", "\ud800", "x" * 200_000):
        with pytest.raises(SettingError):
            options_of({"user": wrong})


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnknownRun("none"), 404, "unknown_run"),
        (RunLocked("r1"), 409, "run_locked"),
        (InputError("wrong"), 400, "bad_input"),
        (InputError("none of that name", code="unknown_agent_type"), 404, "unknown_agent_type"),
        (errors.PoolDrained("no more tasks"), 409, "pool_drained"),
        (NoServer(StateDir(Path("/nowhere")).server()), 503, "no_pool_server"),
        (errors.DriverUnavailable("away"), 503, "driver_unavailable"),
        (errors.JournalError("/j", "is damaged"), 502, "journal_unreadable"),
        (errors.WorkspaceError("no room"), 503, "workspace_failed"),
        (InvariantBroken("impossible"), 500, "bug"),
    ],
)
def test_who_is_at_fault_is_in_the_status(error: WavepoolError, status: int, code: str) -> None:
    answer = told(error)
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["error"]["code"], body["error"]["message"]) == (status, code, error.message)
    assert body["error"].get("advice", "") == error.advice


def test_every_operation_is_described_with_all_that_it_may_answer() -> None:
    app = FastAPI()
    for module in ROUTERS:
        app.include_router(module.router)
    operations = [(path, how, each) for path, of in app.openapi()["paths"].items() for how, each in of.items()]
    assert len(operations) >= 25
    for path, how, operation in operations:
        assert operation["description"], f"{how} {path} is not described"
        assert {str(status) for status in GENERAL} <= operation["responses"].keys(), path
        success = next(each for status, each in operation["responses"].items() if status < "300")
        assert all(content["schema"] for content in success["content"].values()), path


API_PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


def test_every_operation_is_in_the_documents() -> None:
    app = FastAPI()
    for module in ROUTERS:
        app.include_router(module.router)
    operations = {f"{how.upper()} {path}" for path, of in app.openapi()["paths"].items() for how in of}
    assert operations <= set(re.findall(r"^\| `((?:GET|POST) [^`]+)` \|", API_PAGE, re.MULTILINE))


def test_a_body_says_where_it_is_wrong_and_takes_nothing_that_it_does_not_know() -> None:
    schemas = _schemas()
    orders = [each for name, each in schemas.items() if re.search(r"Order$|Options$|PoolTask$|Nothing$", name)]
    assert len(orders) >= 8
    assert all(each["additionalProperties"] is False for each in orders)


def _schemas() -> dict[str, Any]:
    app = FastAPI()
    for module in ROUTERS:
        app.include_router(module.router)
    found: dict[str, Any] = app.openapi()["components"]["schemas"]
    return found


@pytest.mark.parametrize("words", [["serve"], ["attach", "r1"], ["run", "plan.json"], ["tasks", "a"], ["--json"], [""]])
def test_verbs_that_are_no_jobs(words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        check_arguments(words)
    assert refused.value.advice


@pytest.mark.parametrize(
    "words", [["runs", "--json"], ["run", "-", "--detach"], ["task", "x", "--dry-run"], ["--version"], ["pool", "run"]]
)
def test_verbs_that_are_jobs(words: list[str]) -> None:
    check_arguments(words)


def test_detach_behind_two_dashes_belongs_to_the_command() -> None:
    with pytest.raises(InputError):
        check_arguments(["task", "x", "--", "--detach"])


def test_output_keeps_its_newest_and_its_positions() -> None:
    output = Output(10)
    output.add(b"0123456")
    assert output.whole() == b"0123456"
    output.add(b"789abc")
    assert (output.total, output.start, output.whole()) == (13, 3, None)
    assert output.read(0, 4) == (3, b"3456")
    assert output.read(11, 99) == (11, b"bc")
    assert output.read(-2, 1) == (11, b"b")
    assert output.read(99, 5) == (13, b"")


def test_records_of_served_runs(tmp_path: Path) -> None:
    served = StateDir(tmp_path).served_runs()
    assert served.all() == []
    one = ServedRun(run_id="r1", directory="/x", started_at="2026-11-27T10:00:00.000Z", resumed=2, secrets=("KEY",))
    served.keep(one)
    (tmp_path / "served" / "broken.json").write_text("[]")
    assert served.all() == [one]
    served.forget("r1")
    served.forget("r1")
    assert served.all() == []


@pytest.mark.anyio
async def test_what_a_run_is_started_with_is_looked_at_before_anything_starts(tmp_path: Path) -> None:
    launches = Launches(StateDir(tmp_path))
    for secrets in ({"": "x"}, {"KEY": ""}, {"KEY": "a\0b"}, {"KEY": "\ud800"}, {"KEY": "private" * 30_000}):
        with pytest.raises(SettingError) as refused:
            await launches.start(LaunchOrder(given=b"{}", secrets=secrets))
        assert "private" not in str(refused.value)
    with pytest.raises(SettingError):
        await launches.start(LaunchOrder(given=b"{}", options={"run_id": "../x"}))
    assert os.listdir(tmp_path) == []


def overview(types: int = 1) -> dict[str, Any]:
    """One that has everything that a metric is made of."""
    pool = dict.fromkeys(("target", "idle", "busy", "cold", "unhealthy", "hits", "misses", "executions"), 2)
    counts = dict.fromkeys(("total", "pending", "starting", "running", "succeeded", "failed", "skipped"), 1)
    host = {"cpu_count": 2, "cpu_percent": 50.0, "memory_total_bytes": 4, "memory_available_bytes": 2}
    pressure = {"cpu_pressure_percent": 1.0, "memory_pressure_percent": 2.0, "io_pressure_percent": 3.0}
    return {
        "figures": {
            "live_runs": 1,
            "tasks": counts,
            "held_bytes": 5,
            "budget_bytes": 9,
            "spent_usd": 0.5,
            "tokens": 7,
            "containers": 2,
        },
        "host": {**host, **pressure, "disk_used_percent": 10.0, "containers_memory_bytes": 3},
        "runs": {"r1": {"id": "r1", "state": "live", "paused": True}, "r2": {"id": "r2", "state": "failed"}},
        "pools": {f't"{n}\n': {**pool, "dispatch_p50_s": 0.1, "dispatch_p99_s": 0.2} for n in range(types)},
        "problems": {"host": "away"},
    }


def scraped(document: dict[str, Any]) -> dict[str, Any]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(OverviewCollector(lambda: document, lambda: 3))
    return {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}


UNITS = {"seconds", "bytes", "ratio", "dollars", "total", "info", "tokens", "runs", "tasks", "containers", "claims"}
UNITS |= {"cpus", "executions", "running", "failing"}


def _words_of_the_documents() -> set[str]:
    told = API_PAGE[API_PAGE.index("## Metrics") :]
    return {word.removesuffix("_total") for word in re.findall(r"[a-z][a-z_]{3,}", told)}


def test_metrics_pass_the_rules_of_promtool() -> None:
    families = scraped(overview())
    assert len(families) >= 20
    for name, family in families.items():
        assert re.fullmatch(r"wavepool_[a-z_]+[a-z]", name), name
        assert family.documentation.endswith("."), name
        assert family.type in ("gauge", "counter"), name
        assert name.rsplit("_", 1)[-1] in UNITS, f"{name} ends in no unit"
        for sample in family.samples:
            assert sample.name == (f"{name}_total" if family.type == "counter" else name)
            assert all(re.fullmatch(r"[a-z_]+", label) for label in sample.labels)
        assert any(name.endswith(word) for word in _words_of_the_documents()), f"{name} is not in docs/api.md"
    assert families["wavepool_host_cpu_busy_ratio"].samples[0].value == 0.5
    assert families["wavepool_source_failing"].samples[1].value == 1


def test_the_number_of_series_is_bounded_and_nothing_is_lost() -> None:
    few, many = scraped(overview(TYPES_MAX)), scraped(overview(TYPES_MAX * 20))
    hits = [each for each in many["wavepool_pool_claims"].samples if each.labels["outcome"] == "hit"]
    assert len(hits) == TYPES_MAX + 1
    assert sum(each.value for each in hits) == 2 * 20 * TYPES_MAX
    assert sum(len(each.samples) for each in many.values()) <= sum(len(each.samples) for each in few.values()) + 10


def test_metrics_of_an_overview_of_which_little_is_known() -> None:
    bare = {**overview(), "pools": {}}
    del bare["host"]
    assert "wavepool_live_runs" in scraped(bare)
