"""One simulated container: what it is, what it has written, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Handle, LogChunk, Phase, Scope, Usage
from wavepool.drivers.memory.script import Script
from wavepool.model import Ending, Evidence, VerdictKind

DRIVER_NAME = "memory"

WORKSPACE = "/workspace"
"""Where a task runs that was told no directory."""

CHUNK_BYTES = 32 * 1024
"""A log frame of a real engine is at most as long as one read of its pipe."""

PROMPT_VARIABLE_MAX_BYTES = 128 * 1024 - len("TASK_PROMPT=") - 1
"""Linux takes no longer string than 32 pages in an environment (execve(2), MAX_ARG_STRLEN)."""


@dataclass(slots=True, kw_only=True, eq=False)
class Container:
    """A container of a `MemoryWorld`. Times are seconds of the world.

    `output` holds what it wrote with the time of writing. `exists` turns False when it is removed. One that `is_parked`
    was started ahead of its task; `waits` is True until that is told, or the container ends without it.
    """

    id: str
    spec: AttemptSpec
    script: Script
    node: str
    phase: Phase = Phase.CREATED
    started_s: float | None = None
    ending: Ending | None = None
    output: list[tuple[float, LogChunk]] = field(default_factory=list)
    exists: bool = True
    is_parked: bool = False
    waits: bool = False

    @property
    def handle(self) -> Handle:
        return Handle(driver=DRIVER_NAME, id=self.id, name=self.spec.name, attempt=self.spec.attempt)

    @property
    def is_unclaimed(self) -> bool:
        """It was parked, and nothing ever ran in it."""
        return self.is_parked and self.started_s is None

    @property
    def has_ended(self) -> bool:
        """It writes nothing more."""
        return self.phase in (Phase.EXITED, Phase.GONE) or (self.is_unclaimed and not self.waits)

    @property
    def key(self) -> str:
        """Who it is, for deciding faults: the same in every repetition of a simulation."""
        return f"{self.spec.run_id}/{self.spec.attempt}"

    def agrees_with(self, spec: AttemptSpec) -> bool:
        """True if a start of `spec` may adopt it."""
        mine = self.spec
        return (mine.owner, mine.run_id, mine.attempt, mine.spec_hash) == (
            spec.owner,
            spec.run_id,
            spec.attempt,
            spec.spec_hash,
        )

    def memory_bytes(self) -> int:
        return min(self.script.memory_bytes, self.spec.limits.memory_bytes)

    def usage(self, now_s: float) -> Usage:
        """A reading; only for one that runs."""
        return Usage(
            memory_bytes=self.memory_bytes(),
            memory_limit_bytes=self.spec.limits.memory_bytes,
            memory_peak_bytes=self.memory_bytes(),
            pids=1,
            cpu_s=now_s - (self.started_s or now_s),
            oom_kills=int(self.script.child_oom),
        )

    def write_output(self, now_s: float) -> None:
        """What its script writes, all at its start."""
        for source, value in self.script.writes:
            stream = "stderr" if source == "stderr" else "stdout"
            data = self._written(source, value)
            for begin in range(0, len(data), CHUNK_BYTES):
                self.output.append((now_s, LogChunk(stream=stream, data=data[begin : begin + CHUNK_BYTES])))

    def _written(self, source: str, value: bytes) -> bytes:
        prompt = self.spec.prompt.encode()
        if source == "prompt":
            return prompt
        if source == "secret":
            return self.spec.secrets.get(value.decode(), b"")
        if source == "directory":
            return (self.spec.directory or WORKSPACE).encode()
        if source == "env":
            variables = dict(self.spec.env)
            if len(prompt) <= PROMPT_VARIABLE_MAX_BYTES:
                variables["TASK_PROMPT"] = self.spec.prompt
            return variables.get(value.decode(), "").encode()
        return value

    def own_end(self) -> tuple[VerdictKind, Evidence]:
        """How it ends if nobody stops it."""
        script = self.script
        if script.oom or script.memory_bytes > self.spec.limits.memory_bytes:
            return VerdictKind.OOM, Evidence(
                reason="the kernel killed it for memory",
                exit_code=137,
                signal="SIGKILL",
                signal_sender="kernel",
                oom_kills=1,
                oom_flag=True,
                memory_peak_bytes=self.spec.limits.memory_bytes,
            )
        if script.kills_itself:
            return killed_by("task", "SIGKILL", 137)
        child = True if script.child_oom else None
        evidence = Evidence(
            reason=f"it ended with exit code {script.code}",
            exit_code=script.code,
            oom_kills=1 if child else 0,
            child_oom=child,
            oom_flag=bool(child),
            memory_peak_bytes=self.memory_bytes(),
        )
        return (VerdictKind.FAILED if script.code else VerdictKind.SUCCESS), evidence


def killed_by(sender: str, signal: str, code: int) -> tuple[VerdictKind, Evidence]:
    """How one ends that got a signal; `code` 0 where it ended well of it."""
    kind = VerdictKind.FAILED if code else VerdictKind.SUCCESS
    reason = f"it ended with exit code {code} after {signal} from {sender}"
    return kind, Evidence(reason=reason, exit_code=code, signal=signal, signal_sender=sender, oom_kills=0)


def lost(reason: str) -> Ending:
    """The ending of one whose result nobody can know."""
    return Ending(kind=VerdictKind.LOST, evidence=Evidence(reason=reason))


def in_scope(spec: AttemptSpec, scope: Scope) -> bool:
    """True if a thing started from `spec` belongs to `scope`. A scope of one network holds no containers."""
    return (
        scope.shared_network is None
        and spec.owner == scope.owner
        and scope.run_id in (None, spec.run_id)
        and scope.wave in (None, spec.wave)
        and scope.detached in (None, spec.labels.get(labels.DETACHED) == "true")
    )
