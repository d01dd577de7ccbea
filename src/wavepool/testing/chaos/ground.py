"""A place of its own for one round of chaos: a state directory, a workspace, and the orchestrators in them."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from wavepool import labels
from wavepool.core.facts import Stamped, TasksAdded
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.parking.claim_mark import claimed_at
from wavepool.journal.reading import JournalReader
from wavepool.statedir import StateDir
from wavepool.testing.chaos.leftovers import Leftovers
from wavepool.testing.chaos.mortal import immortal_command, mortal_command
from wavepool.testing.chaos.orchestrator import Orchestrator
from wavepool.testing.chaos.skew import skewed_command

ATTEMPTS_LOOKED_FOR = 6
CLOSE_DEADLINE_S = 120.0
_INHERITED = ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "DOCKER_HOST", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")


class Ground:
    """Use it as an async context manager: leaving ends what was started here and removes what it made.

    Args:
        root: an empty directory that is there.
        driver: docker or process.
        image: of the tasks; it has ``sh`` and the usual small programs.
        docker_host: another daemon than the usual one.
        state: the state directory, where it is not to be in `root`.
    """

    def __init__(
        self, root: Path, *, driver: str, image: str, docker_host: str | None = None, state: Path | None = None
    ) -> None:
        self.root = root.resolve()
        self.driver = driver
        self.image = image
        self.network = f"cfn-chaos-{secrets.token_hex(4)}"
        self.state = StateDir(state or self.root / "state")
        self.workspace = self.root / "workspace"
        self._home = self.root / "home"
        self._streams = self.root / "streams"
        self._docker_host = docker_host
        self._api = DockerApi(docker_host) if driver == "docker" else None
        self._leftovers = Leftovers(self.root, self.state.path, self._api)
        self._commands: list[Orchestrator] = []
        self._plans = 0

    async def __aenter__(self) -> Ground:
        for directory in (self.workspace, self._home, self._streams):
            directory.mkdir(parents=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.move_on_after(CLOSE_DEADLINE_S, shield=True):
            for command in self._commands:
                if command.exit_code is None:
                    await command.kill()
            await self.sweep()
        if self._api is not None:
            await self._api.close()

    # -- plans and commands --

    def plan(self, *waves: Sequence[Mapping[str, object]]) -> Path:
        """A file with a plan of these waves of batches."""
        self._plans += 1
        path = self.root / f"plan-{self._plans}.json"
        numbered = [{"wave_number": number, "batches": list(wave)} for number, wave in enumerate(waves, start=1)]
        path.write_text(json.dumps({"waves": numbered}))
        return path

    async def run(self, plan: Path, run_id: str, *options: str, **how: object) -> Orchestrator:
        """`wavepool run PLAN --run-id RUN`, under way; see `command` for the rest."""
        words = ["run", str(plan), "--run-id", run_id, "--driver", self.driver, "--base-image", self.image]
        words += ["--network", self.network, "--workspace", str(self.workspace), "--budget", "2g", "--keep-going"]
        words += ["--state-dir", str(self.state.path)]
        return await self.command(*words, *options, **how)  # type: ignore[arg-type]  # `command` names and checks them

    async def resume(self, run_id: str, *options: str, **how: object) -> Orchestrator:
        """`wavepool resume RUN`, under way."""
        words = ("resume", run_id, "--state-dir", str(self.state.path))
        return await self.command(*words, *options, **how)  # type: ignore[arg-type]  # as above

    async def command(
        self,
        *words: str,
        point: str | None = None,
        skew: tuple[float, float] | None = None,
        start: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Orchestrator:
        """A `wavepool` command.

        Args:
            point: it dies there (see `mortal`).
            skew: its wall clock jumps by so many seconds after so many (see `skew`).
            start: what comes before the interpreter.
            env: more variables.
        """
        begin = immortal_command() if point is None else mortal_command(point)
        if skew is not None:
            begin = skewed_command(skew[0], after_s=skew[1])
        command = await Orchestrator.launch(
            [*start, *begin, *words],
            directory=self._streams,
            name=f"{len(self._commands) + 1:03}-{words[0]}",
            env={**self._environment(), **(env or {})},
            cwd=self.root,
        )
        self._commands.append(command)
        return command

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        if self._docker_host is not None:
            kept["DOCKER_HOST"] = self._docker_host
        return {**kept, "HOME": str(self._home), "WAVEPOOL_GRACE": "1"}

    # -- what became of it --

    async def parked(self, run_id: str) -> int:
        """How many containers of that run are parked, and wait: they run, and have left no start mark."""
        if self._api is None or not self.owner():
            return 0
        wanted = [f"{labels.OWNER}={self.owner()}", f"{labels.RUN}={run_id}", labels.PARKED]
        filters = json.dumps({"label": wanted, "status": ["running"]})
        found = await self._api.read("containers/json", {"filters": filters})
        return sum(claimed_at(Path(each["Labels"][labels.SLOT])) is None for each in found)

    def journal(self, run_id: str) -> JournalReader:
        """A reader of that run's journal."""
        return JournalReader(self.state.run(run_id).journal)

    def facts(self, run_id: str) -> list[Stamped]:
        """All that the journal holds; nothing where there is none yet."""
        reader = self.journal(run_id)
        return list(reader.read()) if reader.path.exists() else []

    def committed(self, run_id: str) -> int:
        """How many facts there are, 0 where there is no journal yet."""
        reader = self.journal(run_id)
        return reader.committed() if reader.path.exists() else 0

    def marks(self, name: str = "executed") -> list[str]:
        """The lines of a file in the workspace; none where it is missing."""
        path = self.workspace / name
        return path.read_text().split() if path.exists() else []

    def touch(self, name: str) -> None:
        """Make a file in the workspace, for which a task waits."""
        (self.workspace / name).touch()

    def owner(self) -> str:
        """Of the state directory; empty where there is none yet."""
        return self.state.owner() if (self.state.path / "owner").exists() else ""

    async def sweep(self) -> None:
        """Remove what is still there, by the owner's label and by the place that it was started in."""
        live = {command.pid for command in self._commands if command.exit_code is None}
        await self._leftovers.sweep(self.owner(), except_pids=live)

    async def left_behind(self) -> list[str]:
        """A few words for everything of ours that still exists outside the state directory."""
        live = {command.pid for command in self._commands if command.exit_code is None}
        return await self._leftovers.found(self.owner(), self._names(), except_pids=live)

    def _names(self) -> set[str]:
        """The derived names of all attempts that any run here can have had."""
        return {
            labels.container_name(owner=self.owner(), run_id=run_id, task_id=task.id, wave=task.wave, attempt=attempt)
            for run_id in self.state.runs()
            for stamped in self._readable(run_id)
            if isinstance(stamped.fact, TasksAdded)
            for task in stamped.fact.tasks
            for attempt in range(1, ATTEMPTS_LOOKED_FOR + 1)
        }

    def _readable(self, run_id: str) -> list[Stamped]:
        """The facts of a run; none where a scenario has damaged its journal."""
        try:
            return self.facts(run_id)
        except Exception:
            return []


def batch(batch_id: str, script: str, **fields: object) -> dict[str, object]:
    """A batch of 16 MiB that runs `script` in a shell, after it has left a mark of this execution."""
    marked = f'echo "$TASK_ID" >> executed; {script}'
    return {"batch_id": batch_id, "memory": "16m", "files": [], "command": ["sh", "-c", marked], **fields}
