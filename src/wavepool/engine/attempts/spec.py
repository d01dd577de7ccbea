"""Task + surroundings -> what a driver is asked to start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wavepool import labels
from wavepool.agents.base import AgentAdapter
from wavepool.drivers.base import AttemptSpec, Handle, OwnNetwork, SidecarSpec
from wavepool.engine.attempts.companions import CompanionBuilder, address_variables, data_owner
from wavepool.engine.attempts.egress import EGRESS, proxy_environment
from wavepool.inputs.subnets import DEFAULT_SUBNET_POOL
from wavepool.model import AttemptId, Isolation, Limits, Mount, Surroundings, Task
from wavepool.workspace.base import Place
from wavepool.workspace.shared import GUARDED, shared_place
from wavepool.workspace.standing import AGENT_GID, AGENT_UID

AGENT_USER = f"{AGENT_UID}:{AGENT_GID}"
"""Whom an agent in a container runs as where its workspace belongs to root, and nobody said otherwise: never as root,
which no coding agent wants to be, and which owns too much of the host's files."""

OUTPUT_TARGET = "/output"
"""Where a sealed program finds the directory for its results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecBuilder:
    """Builds the specs and names of one run.

    Attributes:
        owner, run_id: who it is for.
        surroundings, isolation: what every attempt gets, and which network.
        secrets: name -> value, read anew by each process; never journaled.
        adapters: of the agents, by name; without them a task with an agent has the command of its image.
        contained: attempts run in containers; False on the bare host.
        detached, lifetime_end_s: for `wavepool spawn`: nobody watches these.
    """

    owner: str
    run_id: str
    surroundings: Surroundings
    isolation: Isolation
    secrets: Mapping[str, bytes]
    adapters: Mapping[str, AgentAdapter] = field(default_factory=dict)
    contained: bool = True
    detached: bool = False
    lifetime_end_s: int | None = None

    def build(
        self,
        task: Task,
        attempt: AttemptId,
        slot: Path,
        node: str = "",
        data: Path | None = None,
        place: Place | None = None,
    ) -> AttemptSpec:
        """The spec of one attempt; the same arguments always give the same spec.

        Args:
            data: host directory for its sidecars' data; needed exactly where there are any.
            place: where it works; None for the run's workspace itself.
        """
        around = self.surroundings
        place = place or shared_place(Path(task.workspace or around.workspace))
        command, agent_env = self._agent(task)
        sealed = self.is_sealed(task)
        env = {
            **agent_env,
            **(proxy_environment(each.name for each in task.sidecars) if sealed else {}),
            **place.env,
            **around.env,
            **task.env,
            **address_variables(task.sidecars),
            "BATCH_ID": task.id,
            "TASK_ID": task.id,
        }
        mounts = (*self._mounts(place), *around.mounts)
        user = self._user(task, place)
        image = task.image or around.image
        network = None if sealed else self.network(task.wave)  # its proxy alone is on another than their own
        sidecars = self.companions(task, attempt, data).build(task.sidecars) if task.sidecars and data else ()
        spec_hash = self._digest(task, command, env, image, network, sidecars, place.directory, mounts, user)
        return AttemptSpec(
            attempt=attempt,
            owner=self.owner,
            run_id=self.run_id,
            wave=task.wave,
            name=self.name(task, attempt),
            image=image,
            command=command,
            commands=task.commands,
            env=env,
            prompt=task.prompt,
            limits=task.limits,
            workspace=place.directory,
            slot=slot,
            mounts=mounts,
            secrets=self.secrets,
            network=network,
            user=user,
            log_limit_bytes=around.log_limit_bytes,
            labels={
                **labels.attempt_labels(
                    owner=self.owner,
                    run_id=self.run_id,
                    task=task,
                    attempt=attempt.number,
                    spec_hash=spec_hash,
                    detached=self.detached,
                    lifetime_end_s=self.lifetime_end_s,
                ),
                **({labels.SIDECARS: str(len(sidecars))} if sidecars else {}),
            },
            spec_hash=spec_hash,
            node=node,
            sidecars=sidecars,
            own_network=self._own_network(task, attempt) if sidecars else None,
        )

    def build_sealed(
        self, task: Task, attempt: AttemptId, slot: Path, *, argv: tuple[str, ...], place: Place, output: Path
    ) -> AttemptSpec:
        """The spec of a program that runs in a task's workspace after it: no network, no secrets, none of its env.

        `output` is seen inside at /output; on the bare host where it is. The variable WAVEPOOL_OUTPUT names it.
        """
        around = self.surroundings
        results = Mount(source=str(output), target=OUTPUT_TARGET, read_only=False)
        mounts = (*self._mounts(place), results) if self.contained else ()
        env = {**place.env, "WAVEPOOL_OUTPUT": OUTPUT_TARGET if self.contained else str(output)}
        image, user = task.image or around.image, self._user(task, place)
        spec_hash = self._digest(task, argv, env, image, None, (), place.directory, mounts, user)
        return AttemptSpec(
            attempt=attempt,
            owner=self.owner,
            run_id=self.run_id,
            wave=task.wave,
            name=self.name(task, attempt),
            image=image,
            command=argv,
            env=env,
            prompt="",
            limits=Limits(memory_bytes=task.limits.memory_bytes, cpus=task.limits.cpus, pids=task.limits.pids),
            workspace=place.directory,
            slot=slot,
            mounts=mounts,
            user=user,
            labels=labels.attempt_labels(
                owner=self.owner,
                run_id=self.run_id,
                task=task,
                attempt=attempt.number,
                spec_hash=spec_hash,
                detached=False,
                lifetime_end_s=None,
            ),
            spec_hash=spec_hash,
        )

    def _agent(self, task: Task) -> tuple[tuple[str, ...] | None, Mapping[str, str]]:
        """The argv of a task, and the variables that its agent needs."""
        adapter = None if task.agent is None else self.adapters.get(task.agent.name)
        if task.agent is None or adapter is None:
            return task.command, {}
        command = task.command if task.command is not None else adapter.command(task.agent)
        return command, adapter.environment(task.agent)

    def is_sealed(self, task: Task) -> bool:
        """It reaches nothing but what its proxy lets it out to (`wiring.agents` has given it one)."""
        wanted = task.agent is not None and self.surroundings.egress is not None
        return wanted and any(each.name == EGRESS for each in task.sidecars)

    def _mounts(self, place: Place) -> tuple[Mount, ...]:
        return place.mounts if self.contained else ()  # on the bare host everything is where it is

    def _user(self, task: Task, place: Place) -> str | None:
        user = place.user or self.surroundings.user
        if user is not None or task.agent is None or not self.contained:
            return user
        try:
            owner = place.directory.stat().st_uid
        except OSError:  # the driver says it better
            return None
        return AGENT_USER if owner == 0 else None

    def companions(self, task: Task, attempt: AttemptId, data: Path) -> CompanionBuilder:
        """What builds the sidecars of one attempt, with their data in `data`."""
        workspace = Path(self.surroundings.workspace)
        return CompanionBuilder(
            data=data,
            base=workspace,
            shares_base=False,
            owner=data_owner(workspace),
            labels={**self._beside(task, attempt), labels.ROLE: "sidecar"},
            prefix=self.name(task, attempt),
        )

    def _own_network(self, task: Task, attempt: AttemptId) -> OwnNetwork:
        return OwnNetwork(
            name=labels.task_network_name(self.name(task, attempt)),
            labels={**self._beside(task, attempt), labels.SCOPE: "task"},
            internal=self.isolation is Isolation.NONE or self.is_sealed(task),
            subnet_pool=self.surroundings.subnet_pool or DEFAULT_SUBNET_POOL,
        )

    def _beside(self, task: Task, attempt: AttemptId) -> dict[str, str]:
        return labels.beside_labels(
            owner=self.owner,
            run_id=self.run_id,
            task=task,
            attempt=attempt.number,
            container=self.name(task, attempt),
        )

    def name(self, task: Task, attempt: AttemptId) -> str:
        """The derived name of one attempt."""
        return labels.container_name(
            owner=self.owner,
            run_id=self.run_id,
            task_id=task.id,
            wave=task.wave,
            attempt=attempt.number,
            prefix=self.surroundings.name_prefix,
        )

    def handle(self, driver: str, task: Task, attempt: AttemptId) -> Handle:
        """A handle for an attempt of which only the name is known."""
        return Handle(driver=driver, id="", name=self.name(task, attempt), attempt=attempt)

    def kept_reference(self, attempt: AttemptId) -> str:
        """What the file system of that attempt is kept as, where it is kept."""
        return labels.kept_reference(
            owner=self.owner, run_id=self.run_id, task_id=attempt.task_id, attempt=attempt.number
        )

    def network(self, wave: int) -> str | None:
        """The network of that wave's attempts, None for none."""
        if self.isolation is Isolation.NONE:
            return None
        if self.isolation is Isolation.WAVE:
            return labels.wave_network_name(
                owner=self.owner, run_id=self.run_id, wave=wave, prefix=self.surroundings.name_prefix
            )
        return self.surroundings.network

    def network_labels(self, wave: int | None) -> dict[str, str]:
        """What marks a network that we create as ours: the run's for a wave's own, the owner's for the shared one."""
        if wave is None:
            return {labels.OWNER: self.owner, labels.SCOPE: "shared"}
        return {
            labels.OWNER: self.owner,
            labels.RUN: self.run_id,
            labels.WAVE: str(wave),
            labels.SCOPE: "wave",
        }

    def _digest(
        self,
        task: Task,
        command: tuple[str, ...] | None,
        env: Mapping[str, str],
        image: str,
        network: str | None,
        sidecars: tuple[SidecarSpec, ...],
        workspace: Path,
        mounts: tuple[Mount, ...],
        user: str | None,
    ) -> str:
        asked: list[object] = [
            task.id,
            task.wave,
            image,
            command,
            sorted(env.items()),
            hashlib.sha256(task.prompt.encode("utf-8", "surrogatepass")).hexdigest(),
            [task.limits.memory_bytes, task.limits.cpus, task.limits.pids],
            str(workspace),
            # A .git that came or went since it was parked, or since a crash, makes it no other attempt.
            [[m.source, m.target, m.read_only] for m in mounts if m.target != GUARDED],
            [s.name for s in self.surroundings.secrets],
            user,
            network,
        ]
        if sidecars:
            asked.append([each.spec_hash for each in sidecars])
        if task.commands:
            asked.append({"commands": task.commands})
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
