"""`wavepool spawn`: start the containers of one wave and leave them running."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.output import check_output, print_result, progress_line, write_json
from wavepool.cli.pipes import INTERRUPTED
from wavepool.cli.request import RawOptions, build_surroundings, read_plan
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import infrastructure_exits, peek_owner
from wavepool.config import Settings
from wavepool.drivers.base import Driver
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.clock import SystemClock
from wavepool.engine.signals import forward_interrupts
from wavepool.engine.steps.spawn import (
    Spawned,
    Spawner,
    check_independent,
    lifetime_end_s,
    needs_of,
    new_spawn_id,
    rehearse_spawn,
    spawn_json,
)
from wavepool.host import read_memory
from wavepool.model import Task
from wavepool.plan import Plan, check_capacity
from wavepool.statedir import SPAWN_RECORD, StateDir
from wavepool.units import human_size
from wavepool.wiring import adapters_of, open_engine

VALIDATION_FAILED = 2


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="spawn", short_help="Start every container of one wave, and leave them running.")(spawn)


def spawn(
    wave_plan: Annotated[str, typer.Option(metavar="FILE", help="The wave plan: a JSON file, or - for stdin.")],
    wave_number: Annotated[int, typer.Option(help="The wave to spawn.")],
    base_image: options.BaseImage = None,
    workspace: options.Workspace = None,
    network: options.Network = None,
    environment: options.Environment = None,
    env_file: options.EnvFile = None,
    secret: options.Secret = None,
    mount: options.Mount = None,
    user: options.User = None,
    memory: options.Memory = None,
    pull: options.Pull = None,
    parallel: options.Parallel = None,
    state_dir: options.StateDirectory = None,
    output: options.Output = None,
    dry_run: options.DryRun = False,
    verbose: options.Verbose = False,
) -> None:
    """Start every container of one wave. Exit code: 0 all started, 1 some did not, 2 bad input or no Docker."""
    settings = settings_of(
        base_image=base_image,
        workspace=workspace,
        network=network,
        user=user,
        memory=memory,
        pull=pull,
        parallel=parallel,
        state_dir=state_dir,
    )
    check_output(output)
    plan = read_plan(wave_plan, settings).only(wave_number)
    check_independent(plan.tasks)
    raw = RawOptions(environment=environment or (), env_files=env_file or (), mounts=mount or (), secrets=secret or ())
    step = _Spawn(settings, plan, wave_number, raw, verbose=verbose)
    for warning in plan.warnings:
        progress_line(f"warning: {warning}")
    with infrastructure_exits(VALIDATION_FAILED):
        anyio.run(step.rehearse if dry_run or settings.spawn_dry_run else step.run)
    if step.result is None:
        raise typer.Exit(INTERRUPTED)
    if plan.warnings:
        step.result["warnings"] = list(plan.warnings)
    print_result(step.result)
    if output is not None:
        write_json(output, step.result)
    raise typer.Exit(step.exit_code)


class _Spawn:
    """One call of `spawn`. `result` is None until there is one."""

    def __init__(self, settings: Settings, plan: Plan, wave: int, raw: RawOptions, *, verbose: bool) -> None:
        self._settings = settings
        self._plan = plan
        self._wave = wave
        self._verbose = verbose
        self._state_dir = StateDir(settings.state_dir)
        self._clock = SystemClock()
        self._spawned_at = self._clock.now().utc
        self._run_id = new_spawn_id(self._spawned_at)
        self._surroundings, self._secrets = build_surroundings(settings, raw)
        self._spawner: Spawner | None = None
        self.result: dict[str, object] | None = None
        self.exit_code = 0

    async def rehearse(self) -> None:
        """What `run` would do. Changes nothing, not even the state directory."""
        specs = self._specs(peek_owner(self._state_dir))
        tasks = self._plan.tasks
        async with open_engine() as (driver, records):
            check_capacity(self._plan, (await driver.probe()).nodes)
            actions = await rehearse_spawn(tasks, specs, records) if tasks else []
        empty = spawn_json(
            Spawned(),
            wave=self._wave,
            run_id=self._run_id,
            network=specs.network(self._wave),
            spawned_at=self._spawned_at,
            interrupted=False,
        )
        planned = {"total_planned": len(tasks), "planned_memory": human_size(_memory_bytes(tasks))}
        self.result = {**empty, "dry_run": True, **planned, "actions": actions}

    async def run(self) -> None:
        """Check everything, then start everything; Ctrl-C stops in between.

        Raises:
            InputError: a batch is larger than the host.
            InfrastructureError: no engine, image, network or state directory. Nothing was started.
        """
        async with anyio.create_task_group() as group:
            preparing = anyio.CancelScope()

            def interrupt(force: bool) -> None:
                if self._spawner is None:
                    preparing.cancel()
                    return
                progress_line("interrupted: nothing more is spawned" + (", nothing is waited for" if force else ""))
                self._spawner.interrupt(force)

            group.start_soon(forward_interrupts, interrupt)
            with preparing:
                await self._run()
            group.cancel_scope.cancel()

    async def _run(self) -> None:
        tasks = self._plan.tasks
        if not tasks:
            self._finish(Spawned(), None)
            return
        specs = self._specs(self._state_dir.owner())
        files = self._state_dir.run(self._run_id)
        async with open_engine() as (driver, _):
            check_capacity(self._plan, (await driver.probe()).nodes)
            self._warn(tasks)
            with ExitStack() as held:
                held.enter_context(files.lock())
                network = specs.network(self._wave)
                if network is not None:
                    held.enter_context(self._state_dir.network_lease(network))
                await driver.prepare(needs_of(tasks, specs), self._pulling)
                write_json(files.artifacts / SPAWN_RECORD, {"wave_number": self._wave, "network": network})
                spawned = await self._spawn(driver, specs, tasks)
                self._finish(spawned, network)
                if self.result is not None:
                    write_json(files.artifacts / SPAWN_RECORD, self.result)

    async def _spawn(self, driver: Driver, specs: SpecBuilder, tasks: tuple[Task, ...]) -> Spawned:
        starts = self._settings.starts_of_spawn
        cap = self._plan.wave(self._wave).parallelism or starts
        spawner = Spawner(
            driver=driver,
            specs=specs,
            files=self._state_dir.run(self._run_id),
            clock=self._clock,
            parallel=min(starts, cap),
            tell=progress_line,
        )
        progress_line(f"spawning {len(tasks)} containers of wave {self._wave} ({self._run_id})")
        self._spawner = spawner
        return await spawner.spawn(tasks)

    def _finish(self, spawned: Spawned, network: str | None) -> None:
        interrupted = self._spawner is not None and self._spawner.interrupted
        self.result = spawn_json(
            spawned,
            wave=self._wave,
            run_id=self._run_id,
            network=network,
            spawned_at=self._spawned_at,
            interrupted=interrupted,
        )
        self.exit_code = INTERRUPTED if interrupted else (1 if spawned.failed else 0)
        progress_line(f"spawned {len(spawned.started)} of {len(self._plan.tasks)} containers")
        if interrupted and (spawned.started or any(each.exists for each in spawned.failed)):
            progress_line(f"what exists is left running; remove it with: {self._cleanup_command()}")

    def _cleanup_command(self) -> str:
        return f"wavepool cleanup --wave-number {self._wave} --run-id {self._run_id}"

    def _specs(self, owner: str) -> SpecBuilder:
        return SpecBuilder(
            owner=owner,
            run_id=self._run_id,
            surroundings=self._surroundings,
            isolation=self._settings.isolate,
            secrets=self._secrets,
            detached=True,
            lifetime_end_s=lifetime_end_s(self._clock.now(), self._settings.spawn_lifetime),
            adapters=adapters_of(self._plan.tasks),
        )

    def _warn(self, tasks: tuple[Task, ...]) -> None:
        """Spawned containers all run at once: nothing holds them to a budget, as `run` does."""
        wanted, left = _memory_bytes(tasks), read_memory().available_bytes
        if wanted > left:
            progress_line(
                f"warning: the limits add up to {human_size(wanted)}, this host has {human_size(left)} left; "
                "`wavepool run` keeps to a budget"
            )
        if self._verbose:
            for task in tasks:
                progress_line(f"batch {task.id}: tier {task.tier}, {human_size(task.limits.memory_bytes)}")

    def _pulling(self, image: str, text: str) -> None:
        if self._verbose:
            progress_line(f"pulling {image}: {text}")


def _memory_bytes(tasks: tuple[Task, ...]) -> int:
    return sum(task.limits.memory_bytes for task in tasks)
