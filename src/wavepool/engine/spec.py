"""Task + surroundings -> what a driver is asked to start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Handle, OwnNetwork, SidecarSpec
from wavepool.engine.companions import CompanionBuilder, address_variables, data_owner
from wavepool.inputs.subnets import DEFAULT_SUBNET_POOL
from wavepool.model import AttemptId, Isolation, Surroundings, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecBuilder:
    """Builds the specs and names of one run.

    Attributes:
        owner, run_id: who it is for.
        surroundings, isolation: what every attempt gets, and which network.
        secrets: name -> value, read anew by each process; never journaled.
        detached, lifetime_end_s: for `wavepool spawn`: nobody watches these.
    """

    owner: str
    run_id: str
    surroundings: Surroundings
    isolation: Isolation
    secrets: Mapping[str, bytes]
    detached: bool = False
    lifetime_end_s: int | None = None

    def build(
        self, task: Task, attempt: AttemptId, slot: Path, node: str = "", data: Path | None = None
    ) -> AttemptSpec:
        """The spec of one attempt; the same arguments always give the same spec.

        Args:
            data: host directory for its sidecars' data; needed exactly where there are any.
        """
        around = self.surroundings
        env = {**around.env, **task.env, **address_variables(task.sidecars), "BATCH_ID": task.id, "TASK_ID": task.id}
        image = task.image or around.image
        network = self.network(task.wave)
        sidecars = self.companions(task, attempt, data).build(task.sidecars) if task.sidecars and data else ()
        spec_hash = self._digest(task, env, image, network, sidecars)
        return AttemptSpec(
            attempt=attempt,
            owner=self.owner,
            run_id=self.run_id,
            wave=task.wave,
            name=self.name(task, attempt),
            image=image,
            command=task.command,
            commands=task.commands,
            env=env,
            prompt=task.prompt,
            limits=task.limits,
            workspace=Path(around.workspace),
            slot=slot,
            mounts=around.mounts,
            secrets=self.secrets,
            network=network,
            user=around.user,
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
            internal=self.isolation is Isolation.NONE,
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
        env: Mapping[str, str],
        image: str,
        network: str | None,
        sidecars: tuple[SidecarSpec, ...],
    ) -> str:
        around = self.surroundings
        asked: list[object] = [
            task.id,
            task.wave,
            image,
            task.command,
            sorted(env.items()),
            hashlib.sha256(task.prompt.encode("utf-8", "surrogatepass")).hexdigest(),
            [task.limits.memory_bytes, task.limits.cpus, task.limits.pids],
            around.workspace,
            [[m.source, m.target, m.read_only] for m in around.mounts],
            [s.name for s in around.secrets],
            around.user,
            network,
        ]
        if sidecars:
            asked.append([each.spec_hash for each in sidecars])
        if task.commands:
            asked.append({"commands": task.commands})
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
