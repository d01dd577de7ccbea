"""Requests that Schemathesis makes up from /api/openapi.json, against a real server with real runs.

Each answer must be one that is described, in status, type, shape and headers, and none may be 5xx. Some of the requests
are right by the description and some are wrong; about half of the right ones that name a run, a task or a job name a
real one. All of it happens in a state directory of its own, on the process driver.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from served_api import serving
from wavepool_cli import DEADLINE_S, batch, plan_of, wave, world_in

HELD_TO = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
    checks.unsupported_method,
]

PROCESSES = re.compile(r"/api/(runs|tasks|jobs|doctor|recover|prune)$|/(report|resume|retry|run)$")
"""Operations that start a process for a request that is right."""

HOW: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,  # CI sees what we see
    "database": None,
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    """The description of a server in whose state directory a run is over."""
    with world_in(tmp_path_factory.mktemp("described"), "process") as world, serving(world) as api:
        plan = plan_of(wave(1, batch("a/b", "echo out"), batch("bad", "exit 3")))
        where = {"driver": "process", "workspace": str(world.workspace), "budget": "1g", "run_id": "done"}
        assert api.post("/api/runs", {"plan": plan, "options": where}).status == 201
        api.wait_for_run("done", "failed")
        job = api.post("/api/jobs", {"arguments": ["runs"]}).json["id"]
        api.wait_for_job(job)
        token = {"Authorization": f"Bearer {api.token}"}
        schema = schemathesis.openapi.from_url(f"{api.address}/api/openapi.json", headers=token)
        schema.config.update(headers=token, request_timeout=DEADLINE_S)  # a verb may take long to start
        yield Described(schema, {"run": "done", "key": "bad", "job": job, "agent_type": "coder"})


class Described(NamedTuple):
    """What is asked, and what is really there, by names of parameters."""

    schema: Any
    real: Mapping[str, str]

    def name_real_ones(self, case: Any) -> None:
        """In the place of about half; a pool that is drained takes no tasks, so another one is."""
        for name, value in case.path_parameters.items():
            if len(str(value)) % 2 and name in self.real:
                case.path_parameters[name] = "tester" if case.path.endswith("/drain") else self.real[name]


def hold(described: Described, examples: int, which: Callable[[str], bool] = lambda path: True) -> list[str]:
    """Ask each operation as often; returns what was tried, and raises what was found of all of them."""
    tried, found = [], []
    for result in described.schema.get_all_operations():
        operation = result.ok()
        if not which(operation.path):
            continue
        tried.append(operation.label)
        for mode in GenerationMode:
            try:
                _ask(described, operation, mode, examples)
            except Unsatisfiable:  # nothing that it takes can be wrong
                continue
            except (Exception, BaseExceptionGroup) as error:
                found.append(error)
    if found:
        raise BaseExceptionGroup("answers that are not described", found)
    return tried


def _ask(described: Described, operation: Any, mode: GenerationMode, examples: int) -> None:
    @settings(max_examples=examples, **HOW)
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        if mode is GenerationMode.POSITIVE:  # the names of a wrong request may be what is wrong about it
            described.name_real_ones(case)
        case.call_and_validate(checks=HELD_TO)

    one()


def test_every_request_is_answered_as_described(described: Described) -> None:
    tried = hold(described, 5, lambda path: not PROCESSES.search(path))
    tried += hold(described, 2, lambda path: PROCESSES.search(path) is not None)
    assert len(tried) >= 25


@pytest.mark.slow
def test_a_long_dose_of_requests(described: Described, record_property: Callable[[str, object], None]) -> None:
    tried = hold(described, 100, lambda path: not PROCESSES.search(path))
    tried += hold(described, 6, lambda path: PROCESSES.search(path) is not None)
    record_property("proof", f"{len(tried)} operations answered as described, up to 200 requests to each")
