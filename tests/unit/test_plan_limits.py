"""Limits of a batch: its own, the options', the preset's, the default; and soft limits that are not below hard ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wavepool.errors import InputError, PlanError, SettingError
from wavepool.inputs.softlimits import parse_soft_limit
from wavepool.model import Act, Bound, Task, Watchdog, WatchdogRule
from wavepool.plan import LimitPolicy, TierMap, limit_policy, parse_plan
from wavepool.plan.limits import DEFAULT_WATCHDOG
from wavepool.units import GIB, MIB


def task_of(policy: LimitPolicy | None = None, **batch: Any) -> Task:
    memory = batch.pop("memory_option", None)
    raw = json.dumps({"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", **batch}]}]}).encode()
    options: dict[str, Any] = {} if policy is None else {"policy": policy}
    return parse_plan(raw, source="p", tiers=TierMap(), memory_override_bytes=memory, **options).tasks[0]


def test_without_anything_there_are_limits_all_the_same() -> None:
    """A fork bomb or an eternal task never takes the host."""
    limits = task_of().limits
    assert (limits.pids, limits.lifetime_s, limits.cpus) == (2048, 12 * 3600, None)
    assert task_of().watchdog is None, "the run's"
    assert limit_policy().watchdog == DEFAULT_WATCHDOG
    assert DEFAULT_WATCHDOG.pids == Bound(threshold=0.8, act=Act.WARN)


def test_a_longer_timeout_raises_only_a_default_lifetime() -> None:
    assert task_of(timeout="20h").limits.lifetime_s == 20 * 3600
    assert task_of(limit_policy(lifetime_s=3600), timeout="20h").limits.lifetime_s == 3600
    assert task_of(limit_policy("guarded"), timeout="20h").limits.lifetime_s == 12 * 3600
    assert task_of(limit_policy(timeout_s=30 * 3600)).limits.lifetime_s == 30 * 3600


def test_the_guarded_preset_is_seed_003() -> None:
    task = task_of(limit_policy("guarded"))
    limits = task.limits
    assert (limits.pids, limits.memory_bytes, limits.cpus, limits.lifetime_s) == (256, 8 * GIB, 2.0, 43_200)
    rules = limit_policy("guarded").watchdog
    assert rules.pids is not None
    assert rules.memory is not None
    assert rules.pids.threshold * limits.pids == 200
    assert (rules.memory.threshold, rules.pids.act, rules.memory.act) == (0.8, Act.STOP, Act.STOP)
    assert task.watchdog is None


@pytest.mark.parametrize("own", [{"memory": "512m"}, {"tier": 2}, {"memory_option": 64 * MIB}])
def test_guarded_only_warns_of_memory_where_the_limit_is_the_task_s_own(own: dict[str, Any]) -> None:
    task = task_of(limit_policy("guarded"), **own)
    assert task.limits.memory_bytes < 8 * GIB
    assert task.watchdog is not None
    assert task.watchdog.memory == Bound(threshold=0.8, act=Act.WARN)
    assert task.watchdog.pids == Bound(threshold=200 / 256)


def test_an_option_for_memory_beats_what_guarded_does_about_own_limits() -> None:
    policy = limit_policy("guarded", soft={WatchdogRule.MEMORY: Bound(threshold=0.7)})
    assert task_of(policy, memory="512m").watchdog is None
    assert policy.watchdog.memory == Bound(threshold=0.7)


def test_batch_beats_option_beats_preset() -> None:
    policy = limit_policy("guarded", pids=100, cpus=1.5)
    assert (task_of(policy).limits.pids, task_of(policy).limits.cpus) == (100, 1.5)
    limits = task_of(policy, pids=50, cpus=0.5, lifetime="1h").limits
    assert (limits.pids, limits.cpus, limits.lifetime_s) == (50, 0.5, 3600)


def test_a_batch_changes_single_rules() -> None:
    task = task_of(limit_policy("guarded"), watchdog={"pids": "30:warn", "no_progress": "10m", "memory": "off"})
    assert task.watchdog == Watchdog(
        pids=Bound(threshold=30, act=Act.WARN), no_progress_s=Bound(threshold=600, act=Act.STOP)
    )
    assert task_of(watchdog=False).watchdog == Watchdog()
    assert task_of(watchdog={"lifetime": "1h"}).watchdog == Watchdog(
        pids=DEFAULT_WATCHDOG.pids, memory=DEFAULT_WATCHDOG.memory, lifetime_s=Bound(threshold=3600)
    )


@pytest.mark.parametrize(
    ("batch", "path", "expected"),
    [
        ({"pids": 100, "watchdog": {"pids": 100}}, "watchdog.pids", "below the hard limit of 100"),
        ({"watchdog": {"pids": 5000}}, "watchdog.pids", "2048"),
        ({"memory": "64m", "watchdog": {"memory": "64m"}}, "watchdog.memory", "below the hard limit of 64m"),
        ({"lifetime": "1h", "watchdog": {"lifetime": "90m"}}, "watchdog.lifetime", "below the hard limit of 1h"),
        ({"watchdog": {"memory": "100%"}}, "watchdog.memory", "80%"),
        ({"watchdog": {"pids": 1}}, "watchdog.pids", "from 2"),
        ({"watchdog": {"cpu": 1}}, "watchdog.cpu", "no_progress"),
        ({"watchdog": {"no_progress": "10m:kill"}}, "watchdog.no_progress", ":stop"),
        ({"watchdog": 5}, "watchdog", "false"),
        ({"watchdog": True}, "watchdog", "false"),
        ({"cpus": 0}, "cpus", "0.01"),
        ({"cpus": "2"}, "cpus", "cores"),
        ({"cpus": True}, "cpus", "cores"),
        ({"pids": 0}, "pids", "from 1"),
        ({"pids": "64"}, "pids", "whole number"),
        ({"lifetime": 0}, "lifetime", "above zero"),
        ({"lifetime": True}, "lifetime", "duration"),
        ({"commands": []}, "commands", "a list of commands"),
        ({"commands": "ls"}, "commands", "a list of commands"),
        ({"commands": ["ls", ""]}, "commands[1]", "not empty"),
        ({"commands": ["ls", None]}, "commands[1]", "text"),
        ({"commands": ["ls"], "command": "ls"}, "commands", "not both"),
    ],
)
def test_what_is_wrong_is_named(batch: dict[str, Any], path: str, expected: str) -> None:
    with pytest.raises(PlanError) as caught:
        task_of(**batch)
    assert caught.value.path == f"waves[0].batches[0].{path}"
    assert expected in caught.value.expected


def test_a_hard_limit_of_a_batch_below_the_run_s_soft_one_is_refused() -> None:
    policy = limit_policy(soft={WatchdogRule.PIDS: Bound(threshold=200)})
    assert task_of(policy, pids=201).limits.pids == 201
    with pytest.raises(PlanError, match="soft limit of 200") as caught:
        task_of(policy, pids=200)
    assert caught.value.path == "waves[0].batches[0].pids"
    assert task_of(policy, pids=200, watchdog={"pids": 100}).watchdog is not None


def test_commands_are_read_as_each_command_is() -> None:
    task = task_of(commands=["make test", ["ls", "-l"]])
    assert task.commands == (("/bin/sh", "-c", "make test"), ("ls", "-l"))
    assert task.command is None


@pytest.mark.parametrize(
    ("rule", "text", "bound"),
    [
        (WatchdogRule.PIDS, "200", Bound(threshold=200)),
        (WatchdogRule.PIDS, 200, Bound(threshold=200)),
        (WatchdogRule.PIDS, " 80% : WARN ", None),
        (WatchdogRule.PIDS, "80%:WARN", Bound(threshold=0.8, act=Act.WARN)),
        (WatchdogRule.MEMORY, "6g:stop", Bound(threshold=6 * GIB)),
        (WatchdogRule.LIFETIME, "11h", Bound(threshold=39_600)),
        (WatchdogRule.NO_PROGRESS, 90, Bound(threshold=90)),
        (WatchdogRule.NO_PROGRESS, "off", "off"),
        (WatchdogRule.NO_PROGRESS, False, "off"),
        (WatchdogRule.PIDS, "200:", None),
        (WatchdogRule.PIDS, True, None),
        (WatchdogRule.PIDS, "2.5", None),
        (WatchdogRule.MEMORY, "nan%", None),
        (WatchdogRule.MEMORY, [], None),
    ],
)
def test_soft_limits_that_people_write(rule: WatchdogRule, text: object, bound: object) -> None:
    if bound is None:
        with pytest.raises(InputError):
            parse_soft_limit(rule, text)
    else:
        assert parse_soft_limit(rule, text) == bound


def test_the_settings_are_held_against_each_other() -> None:
    from wavepool.cli.request import limit_policy_of
    from wavepool.config import Settings

    settings = Settings.model_validate({"state_dir": "/s", "preset": "guarded", "watch_pids": "300"})
    with pytest.raises(SettingError, match=r"--watch-pids.*300.*256"):
        limit_policy_of(settings)
    settings = Settings.model_validate({"state_dir": "/s", "pids": "400", "preset": "guarded", "watch_pids": "300"})
    assert limit_policy_of(settings).watchdog.pids == Bound(threshold=300)
    settings = Settings.model_validate({"state_dir": "/s", "lifetime": "1h", "watch_lifetime": "1h:warn"})
    with pytest.raises(SettingError, match="--watch-lifetime"):
        limit_policy_of(settings)
