"""Agent type -> what a driver is asked to park, or to start cold: both look alike from within."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, NetworkNeed
from wavepool.drivers.parking import Claim
from wavepool.engine.attempts.companions import DATA_UID
from wavepool.errors import InfrastructureError, InputError, shorten
from wavepool.inputs.poolfields import CONTAINERS_MAX
from wavepool.inputs.pools import agent_type_problem
from wavepool.model import AgentType, AttemptId, Limits, PoolSettings, PoolSpec, Task

WORK = "work"
"""The directory of a slot that is /workspace inside."""

SCRATCH = "/tmp"
"""Where a container whose root file system cannot be written to has a file system in memory."""

NO_NETWORK = "none"
_NUMBERS = re.compile(r"[0-9]{1,10}(?::[0-9]{1,10})?", re.ASCII)
POOL_WAVE = 0
"""A session of a pool has no waves; its containers are labelled as of this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecMaker:
    """Makes the specs of one agent type in one session.

    Attributes:
        owner, run_id: who it is for.
        contained: False where tasks are plain processes of this host: these run as we do, unless somebody is named.
        prefix: what names begin with.
        log_limit_bytes: of each container's log.
    """

    owner: str
    run_id: str
    agent: AgentType
    settings: PoolSettings
    contained: bool = True
    prefix: str = labels.NAME_PREFIX
    log_limit_bytes: int

    @property
    def user(self) -> str | None:
        """Who its tasks run as; None for who we are."""
        return user_of(self.agent) if self.contained else self.agent.user

    @property
    def read_only(self) -> bool:
        """Whether there is a root file system that cannot be written to."""
        return self.contained and self.settings.read_only

    @property
    def network(self) -> str | None:
        """The name of its network: its own, a shared one, or None for none at all."""
        if self.agent.network == NO_NETWORK:
            return None
        return self.agent.network or labels.pool_network_name(
            owner=self.owner, run_id=self.run_id, agent_type=self.agent.name, prefix=self.prefix
        )

    @property
    def shared_network(self) -> str | None:
        """The network that others use too; None where there is none."""
        return self.network if self.agent.network else None

    def network_need(self) -> NetworkNeed | None:
        """What must be there before the first container."""
        if (name := self.network) is None:
            return None
        if self.shared_network is not None:
            return NetworkNeed(name=name, labels={labels.OWNER: self.owner, labels.SCOPE: "shared"})
        marks = {
            labels.OWNER: self.owner,
            labels.RUN: self.run_id,
            labels.WAVE: str(POOL_WAVE),
            labels.SCOPE: "wave",
            labels.POOL: self.agent.name,
        }
        return NetworkNeed(name=name, labels=marks, private=True)

    def parked(self, key: str, slot: Path) -> AttemptSpec:
        """The spec of a container that is told later what to run. The same arguments give the same spec."""
        agent = self.agent
        task = Task(id=key, key=labels.task_key(key), wave=POOL_WAVE, tier=1, limits=agent.limits)
        env = {**self._home(), **agent.env, "TASK_ID": key, "BATCH_ID": key}
        workspace = Path(agent.workspace) if agent.workspace is not None else slot / WORK
        digest = self._digest(key, env, workspace)
        return AttemptSpec(
            attempt=AttemptId(key, 1),
            owner=self.owner,
            run_id=self.run_id,
            wave=POOL_WAVE,
            name=labels.container_name(
                owner=self.owner, run_id=self.run_id, task_id=key, wave=POOL_WAVE, attempt=1, prefix=self.prefix
            ),
            image=agent.image,
            command=None,
            env=env,
            prompt="",
            limits=agent.limits,
            workspace=workspace,
            slot=slot,
            network=self.network,
            user=self.user,
            log_limit_bytes=self.log_limit_bytes,
            labels={
                **labels.attempt_labels(
                    owner=self.owner,
                    run_id=self.run_id,
                    task=task,
                    attempt=1,
                    spec_hash=digest,
                    detached=False,
                    lifetime_end_s=None,
                ),
                labels.POOL: agent.name,
            },
            spec_hash=digest,
            late=True,
            read_only=self.read_only,
            tmpfs={SCRATCH: agent.limits.memory_bytes // 2} if self.read_only else {},
        )

    def make_workspace(self, spec: AttemptSpec) -> None:
        """Make the workspace of its own, empty, for the user of the container; a shared one must be there.

        Raises:
            InputError: a shared workspace is no directory.
            InfrastructureError: it cannot be made.
        """
        if self.agent.workspace is not None:
            if not spec.workspace.is_dir():
                raise InputError(
                    f"agent type {self.agent.name}: workspace {self.agent.workspace} is not a directory",
                    advice="Make it, or leave `workspace` out: then each container has an empty one of its own.",
                )
            return
        try:
            spec.workspace.mkdir(exist_ok=True, mode=0o700)
            self.give(spec.workspace)
        except OSError as error:
            raise InfrastructureError(
                f"the workspace {spec.workspace} cannot be made: {error.strerror}",
                advice="See that the state directory can be written to, and has room.",
            ) from error

    def give(self, path: Path) -> None:
        """Let the user of the container own it, or at least write to it where only the image knows who that is."""
        if self.user is None:
            return
        ids = numeric_ids(self.user)
        if ids is not None and os.geteuid() == 0:
            os.chown(path, *ids, follow_symlinks=False)
        elif (ids is None or ids[0] != os.geteuid()) and not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else path.stat().st_mode | 0o066)  # the directories above let nobody in

    def give_all(self, workspace: Path) -> None:
        """The same for all that was placed in a workspace of its own. Blocks; links are not followed."""
        if self.agent.workspace is not None:
            return
        for directory, names, files in os.walk(workspace):
            for name in (*names, *files):
                self.give(Path(directory, name))

    def _home(self) -> Mapping[str, str]:
        """A home that can be written to, where the image's cannot."""
        return {"HOME": SCRATCH} if self.read_only else {}

    def _digest(self, key: str, env: Mapping[str, str], workspace: Path) -> str:
        agent = self.agent
        limits = [agent.limits.memory_bytes, agent.limits.cpus, agent.limits.pids]
        asked = [key, agent.image, sorted(env.items()), limits, str(workspace), self.network, self.user]
        return hashlib.sha256(json.dumps([*asked, self.read_only]).encode()).hexdigest()[:16]


def cold(parked: AttemptSpec, claim: Claim, limits: Limits | None) -> AttemptSpec:
    """The spec of a container that is started for one task, in the place of one that would have been parked."""
    return replace(
        parked,
        late=False,
        command=claim.command,
        env={**parked.env, **claim.env},
        prompt=claim.prompt,
        secrets=claim.secrets,
        limits=limits or parked.limits,
        directory=claim.directory,
    )


def user_of(agent: AgentType) -> str:
    """Who its tasks run as: as asked for; else the shared workspace's owner; else whoever we are, but never root."""
    if agent.user is not None:
        return agent.user
    owner, group = os.geteuid(), os.getegid()
    if agent.workspace is not None:
        try:
            status = os.stat(agent.workspace)
        except OSError:
            return f"{DATA_UID}:{DATA_UID}"
        owner, group = status.st_uid, status.st_gid
    return f"{owner}:{group}" if owner else f"{DATA_UID}:{DATA_UID}"


def numeric_ids(user: str) -> tuple[int, int] | None:
    """uid and gid where both are told as numbers (the gid may be left out); None where the image must be asked."""
    uid, _, gid = user.partition(":")
    if uid == "root":
        uid = "0"
    if uid.isdecimal() and (not gid or gid.isdecimal()):
        return int(uid), int(gid or uid)
    return None


def check_process_user(agent: AgentType) -> None:
    """See that plain processes can run as who is named. Only root's can become another; others stay who they are.

    Raises:
        InputError: it is a name, which only an image could know.
    """
    if agent.user is None or os.geteuid() != 0 or _NUMBERS.fullmatch(agent.user):
        return
    raise InputError(
        f"agent type {agent.name}: got user {shorten(agent.user)}, expected uid or uid:gid in numbers, "
        "as its tasks are processes of this host",
        advice="Start Wavepool as that user, leave `user` out, or use Docker (`--driver docker`).",
    )


def check_pool(spec: PoolSpec) -> None:
    """See that a pool can be as it was asked for, however it was asked.

    Raises:
        InputError: its name, or a number of its settings.
    """
    name, settings = spec.agent.name, spec.settings
    expected = agent_type_problem(name)
    if expected is not None:
        raise InputError(f"agent type {shorten(name)}: expected {expected}")
    sizes_fit = 0 <= settings.min_size <= settings.size <= settings.max_size
    if not sizes_fit or not 1 <= settings.max_size <= CONTAINERS_MAX:
        raise InputError(
            f"agent type {name}: got min_size {settings.min_size}, size {settings.size}, max_size {settings.max_size}, "
            f"expected 0 <= min_size <= size <= max_size, and max_size from 1 to {CONTAINERS_MAX}"
        )
    up, down = settings.scale_up_percent, settings.scale_down_percent
    if not 0 <= down < up <= 100:
        raise InputError(
            f"agent type {name}: got scale_down_percent {down!r}, scale_up_percent {up!r}, "
            "expected 0 <= scale_down_percent < scale_up_percent <= 100"
        )
    if spec.agent.workspace is not None and not spec.agent.workspace.startswith("/"):
        raise InputError(f"agent type {name}: got workspace {spec.agent.workspace!r}, expected an absolute path")
    if settings.reuse and settings.max_uses < 1:
        raise InputError(f"agent type {name}: got max_uses {settings.max_uses}, expected at least 1")
    if settings.reuse and not settings.read_only:
        raise InputError(
            f"agent type {name}: got reuse without read_only, expected both",
            advice="What one task writes beside its workspace could not be taken away before the next.",
        )
    if not settings.refill_pause_s >= 0:
        raise InputError(
            f"agent type {name}: got refill_pause_s {settings.refill_pause_s!r}, expected 0 or more seconds"
        )
    for what in ("max_age_s", "idle_timeout_s", "health_interval_s", "scale_interval_s"):
        if not getattr(settings, what) > 0:
            raise InputError(f"agent type {name}: got {what} {getattr(settings, what)!r}, expected more than 0 seconds")
