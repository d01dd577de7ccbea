"""What fails says so to programs in one JSON object on stderr, whatever it is that fails, and stdout stays empty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from wavepool_cli import Finished, World, batch, plan_of, wave, world_in

from wavepool.errors import ERRORS_AS_JSON

WRONG = plan_of(wave(1, batch("a", memory="lots")))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("errors"), "process") as made:
        yield made


def error_of(done: Finished) -> dict[str, Any]:
    assert done.stdout == b""
    last = json.loads(done.stderr.splitlines()[-1])
    assert set(last) == {"error"}
    found: dict[str, Any] = last["error"]
    return found


def test_input_usage_and_what_is_away_have_codes(world: World) -> None:
    here = ("--state-dir", str(world.state), "--json")
    for words, exit_code, code in (
        (("show", "none"), 2, "unknown_run"),
        (("runs", "--nope"), 2, "usage"),
        (("cancel",), 2, "usage"),
        (("pool", "status"), 3, "no_pool_server"),
    ):
        done = world.command(*words, *here).finish()
        assert (done.exit_code, error_of(done)["code"]) == (exit_code, code), words


def test_so_does_what_detaches_and_a_verb_without_the_option_where_a_variable_asks_for_it(world: World) -> None:
    env = dict([ERRORS_AS_JSON])
    refused = world.start(WRONG, "--detach", env=env).finish()
    assert (refused.exit_code, error_of(refused)["code"]) == (2, "bad_plan")
    assert error_of(refused)["about"] == {"path": "waves[0].batches[0].memory"}
    unable = world.start(plan_of(wave(1, batch("a"))), "--secret", "KEY=env:NOT_THERE", "--detach", env=env).finish()
    assert (unable.exit_code, error_of(unable)["code"]) == (2, "bad_setting")
    none = world.command("logs", "none", "a", "--state-dir", str(world.state), env=env).finish()
    assert (none.exit_code, error_of(none)["code"]) == (2, "unknown_run")


def test_the_variable_is_for_the_command_and_not_for_its_tasks(world: World) -> None:
    plan = plan_of(wave(1, batch("a", 'test -z "$WAVEPOOL_ERRORS" && echo unset > told')))
    done = world.run(plan, env=dict([ERRORS_AS_JSON]))
    assert done.verdicts() == {"a": "success"}, done.stderr
    assert (world.workspace / "told").read_text() == "unset\n"


def test_a_person_is_told_by_sentences(world: World) -> None:
    done = world.command("show", "none", "--state-dir", str(world.state)).finish()
    assert done.stderr.startswith("error: there is no run 'none' in ")
