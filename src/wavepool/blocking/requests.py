"""What a call of the blocking face comes to: a request of the engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from wavepool.agents import adapter
from wavepool.blocking.config import ContainerConfig
from wavepool.blocking.orders import plan_of
from wavepool.inputs import parse_mounts, parse_secrets, read_secret
from wavepool.model import AUTO_STARTS, Isolation, Rules, Schedule, SecretSource, Surroundings, Task
from wavepool.plan.limits import DEFAULT_WATCHDOG
from wavepool.statedir import new_run_id
from wavepool.wiring import RunRequest

CONTAINERIZED = "containerized"
SUBPROCESS = "subprocess"
DRIVER_OF = {CONTAINERIZED: "docker", SUBPROCESS: "process"}
OWN_NETWORK = "cfn-network"
"""The shared network that tasks are on unless they are told another one."""


def request_of(
    tasks: Sequence[Task],
    config: ContainerConfig,
    *,
    mode: str,
    at_once: int | None,
    budget_bytes: int,
    state_dir: Path,
) -> RunRequest:
    """One run of these tasks (at least one), under a new id.

    Args:
        config: what holds for all of them: network, secrets, mounts, user, whether agents may have the bare host.
        mode: ``containerized`` or ``subprocess``.
        at_once: how many run together at most; None for as many as fit.
        budget_bytes: what they may hold together.

    Raises:
        InputError: a secret or mount is wrong, or cannot be read.
    """
    contained = mode == CONTAINERIZED
    sources = (*parse_secrets(config.secrets, option="secrets"), *_keys_of(tasks, config))
    keep = contained and not config.auto_remove
    return RunRequest(
        plan=plan_of(tasks, at_once),
        rules=Rules(
            schedule=Schedule.ROLLING,
            nodes=(),
            isolation=Isolation.NONE if config.network_mode == "none" else Isolation.SHARED,
            keep_going=True,
            parallel=AUTO_STARTS,
            ramp=True,
            watchdog=DEFAULT_WATCHDOG,
            keep_failed=keep,
            keep_all=keep,
        ),
        surroundings=Surroundings(
            image=config.image,
            workspace=tasks[0].workspace or str(Path.cwd()),
            network=OWN_NETWORK if config.sealed or config.network_mode == "none" else config.network_mode,
            mounts=parse_mounts(config.mounts, option="mounts") if contained else (),
            secrets=sources,
            user=config.user,
            pull=config.pull,
            egress=tuple(config.egress) if config.sealed else None,
        ),
        secrets={source.name: read_secret(source, os.environ) for source in sources},
        driver=DRIVER_OF[mode],
        budget=budget_bytes,
        budget_cpus=False,
        allow_host=config.allow_host,
        run_id=new_run_id(datetime.now(UTC)),
        state_dir=state_dir,
    )


def _keys_of(tasks: Iterable[Task], config: ContainerConfig) -> tuple[SecretSource, ...]:
    """The agents' keys that are in this process's environment, and that nobody named."""
    named = {source.name for source in parse_secrets(config.secrets, option="secrets")}
    found: dict[str, SecretSource] = {}
    for agent in dict.fromkeys(task.agent.name for task in tasks if task.agent is not None):
        secrets = adapter(agent).secrets
        for variable, name in adapter(agent).key_variables.items():
            wanted = not {name, variable, secrets[name]} & named and not {variable, secrets[name]} & set(config.env)
            if wanted and os.environ.get(variable):
                found[name] = SecretSource(name=name, kind="env", source=variable)
    return tuple(found.values())
