"""From options to what `wavepool run` is asked for; every value is checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wavepool.cli.given import read_given
from wavepool.config import Settings
from wavepool.errors import InputError, SettingError
from wavepool.inputs import (
    check_workspace,
    parse_env_file,
    parse_environment,
    parse_mounts,
    parse_new_run_id,
    parse_secrets,
    read_secret,
)
from wavepool.inputs.egress import ANY
from wavepool.inputs.subnets import DEFAULT_SUBNET_POOL
from wavepool.model import Limits, Rules, Surroundings, WatchdogRule, WorkspaceKind
from wavepool.plan import LimitPolicy, Plan, TierMap, limit_policy, parse_plan
from wavepool.plan.limits import not_below
from wavepool.wiring import RunRequest

MEMORY_UNKNOWN_BYTES = 1 << 62
"""Where each batch has its own limit, a soft one is held against that when the batch is read."""

_OPTION_OF = {
    WatchdogRule.PIDS: "--watch-pids",
    WatchdogRule.MEMORY: "--watch-memory",
    WatchdogRule.LIFETIME: "--watch-lifetime",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOptions:
    """Options that may repeat, or that no setting stands for, as they were typed."""

    environment: Sequence[str] = ()
    env_files: Sequence[str] = ()
    mounts: Sequence[str] = ()
    secrets: Sequence[str] = ()
    run_id: str | None = None


def read_plan(path: str, settings: Settings) -> Plan:
    """The plan of a file, or of standard input for ``-``; any readable file, a process substitution too.

    Raises:
        UnreadableFile: it cannot be read, or is larger than any plan.
        PlanError: it is wrong.
    """
    raw = read_given(path, "PLAN", advice="Name a wave plan as JSON, or - for standard input.")
    return parse_plan(
        raw,
        source="standard input" if path == "-" else path,
        tiers=TierMap(overrides=settings.tier_overrides),
        memory_override_bytes=settings.memory,
        policy=limit_policy_of(settings),
    )


def limit_policy_of(settings: Settings) -> LimitPolicy:
    """What holds where a batch says nothing.

    Raises:
        SettingError: a soft limit of the settings that is not below the hard one of the settings.
    """
    policy = limit_policy(
        settings.preset,
        cpus=settings.cpus,
        pids=settings.pids,
        lifetime_s=settings.lifetime,
        timeout_s=settings.monitor_timeout,
        soft=settings.soft_limits,
    )
    held_bytes = settings.memory or policy.memory_bytes or MEMORY_UNKNOWN_BYTES
    limits = Limits(memory_bytes=held_bytes, pids=policy.pids, lifetime_s=policy.lifetime_s)
    for rule, expected in not_below(policy.watchdog, limits):
        name = _OPTION_OF[rule]
        raise SettingError(name, _told(settings, rule), f"a soft limit {expected}")
    return policy


def _told(settings: Settings, rule: WatchdogRule) -> str:
    limit = settings.soft_limits[rule]
    return limit if isinstance(limit, str) else f"{limit.threshold:g}:{limit.act}"


def build_surroundings(settings: Settings, raw: RawOptions) -> tuple[Surroundings, Mapping[str, bytes]]:
    """(what every attempt gets, the secrets' values).

    Raises:
        InputError: a variable, file, mount, secret or the workspace is wrong, or cannot be read.
    """
    env = read_variables(raw)
    sources = parse_secrets(raw.secrets)
    secrets = {source.name: read_secret(source, os.environ) for source in sources}
    surroundings = Surroundings(
        image=settings.base_image,
        workspace=str(_workspace(settings)),
        network=settings.network,
        env=env,
        mounts=parse_mounts(raw.mounts),
        secrets=sources,
        user=settings.user,
        pull=settings.pull,
        name_prefix=settings.name_prefix,
        log_limit_bytes=settings.log_limit,
        subnet_pool=None if settings.subnet_pool == DEFAULT_SUBNET_POOL else settings.subnet_pool,
        workspace_kind=settings.workspace_kind or WorkspaceKind.SHARED,
    )
    return surroundings, secrets


def read_variables(raw: RawOptions) -> dict[str, str]:
    """The variables of every task: those of the files, and over them those of the command line.

    Raises:
        InputError: one is wrong, or a file cannot be read.
    """
    env: dict[str, str] = {}
    for name in raw.env_files:
        env.update(parse_env_file(_read_text(name), name))
    env.update(parse_environment(raw.environment))
    return env


def _workspace(settings: Settings) -> Path:
    if "workspace" not in settings.model_fields_set and not settings.workspace.exists():
        raise InputError(
            f"--workspace is not given, and its default, {settings.workspace}, is not there",
            advice="Name the directory that tasks shall work in, as `--workspace .` (or CFN_DOCKER_WORKSPACE, or "
            "`workspace` in wavepool.toml).",
        )
    return check_workspace(settings.workspace)


def build_request(settings: Settings, plan: Plan, raw: RawOptions) -> RunRequest:
    """All of it. The rules' nodes are filled in when the driver has told what the host has."""
    surroundings, secrets = build_surroundings(settings, raw)
    if settings.egress != (ANY,) and any(task.agent is not None for task in plan.tasks):
        surroundings = replace(surroundings, egress=settings.egress)
    rules = Rules(
        schedule=settings.schedule,
        nodes=(),
        isolation=settings.isolate,
        keep_going=settings.keep_going,
        max_attempts=settings.retries,
        retry_on=settings.retry_on,
        parallel=settings.starts_at_once,
        ramp=settings.starts_follow_pressure,
        wave_timeout_s=settings.monitor_timeout,
        task_timeout_s=settings.monitor_timeout,
        grace_s=settings.grace,
        watchdog=limit_policy_of(settings).watchdog,
        keep_failed=settings.keep_failed,
        parked_bytes=settings.parked_memory,
        max_cost_usd=settings.run_max_cost,
        max_tokens=settings.run_max_tokens,
        rate_limit_retries=settings.rate_limit_retries,
    )
    return RunRequest(
        plan=plan,
        rules=rules,
        surroundings=surroundings,
        secrets=secrets,
        driver=settings.driver,
        budget=settings.budget,
        warm=settings.warm,
        allow_host=settings.allow_host,
        run_id=None if raw.run_id is None else parse_new_run_id(raw.run_id),
        state_dir=settings.state_dir,
        signals=True,
        reconcile_s=settings.poll_interval,
        learn=settings.learn_history,
        start_order=settings.start_order,
    )


def _read_text(path: str) -> str:
    try:
        return read_given(path, "--env-file", stdin=False).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingError("--env-file", path, "a file in UTF-8") from None
