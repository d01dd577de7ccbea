"""What comes of one task of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wavepool.model import AttemptId, Verdict


class Where(StrEnum):
    """In what kind of container a task ran."""

    WARM = "warm"
    """One that was parked for it."""
    RESIZED = "resized"
    """One that was parked, and given other limits first."""
    REUSED = "reused"
    """One that runs several tasks, one after the other."""
    COLD = "cold"
    """One that was made for it alone, as none was ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds from the submission; None for what never came.

    Attributes:
        claimed_s: a container was chosen, and its command was about to be sent (or its cold start to be asked for).
        running_s: its start mark was seen, or its cold start had returned. None too where a container is reused.
        first_byte_s: the first output came.
        ended_s: its end was known.
        total_s: all of its output was read.
    """

    claimed_s: float | None = None
    running_s: float | None = None
    first_byte_s: float | None = None
    ended_s: float | None = None
    total_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExecution:
    """One task, from its submission to its verdict.

    Attributes:
        agent_type: whose pool it ran in.
        attempt: of the container that ran it: unique in the session of the pool.
        container: its name; empty where there was none.
        where: what kind of container; `resized` and `reused` count as warm.
        verdict: kind, exit code (124 for a timeout, None where nothing ran) and evidence.
        stdout, stderr: the newest output of each, up to the limit of the pool.
        dropped_bytes: output that is not there because there was more than the limit.
        gap: why output may be missing otherwise; empty where none is.
        timings: of it.
        started_at, finished_at: by the engine's clock, where it told.
        tries: containers that were tried: more than 1 where one died in the instant of its claim, or could not start.
    """

    agent_type: str
    attempt: AttemptId
    container: str
    where: Where
    verdict: Verdict
    stdout: bytes = b""
    stderr: bytes = b""
    dropped_bytes: int = 0
    gap: str = ""
    timings: Timings = Timings()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    tries: int = 1

    @property
    def exit_code(self) -> int | None:
        """As reports show it."""
        return self.verdict.exit_code

    @property
    def succeeded(self) -> bool:
        """True where the verdict is success."""
        return self.verdict.succeeded

    @property
    def warm(self) -> bool:
        """True where no container had to be made for it."""
        return self.where is not Where.COLD

    @property
    def dispatch_s(self) -> float | None:
        """From the submission to when it was known to run; the first output tells that too. None: it never ran."""
        seen = [each for each in (self.timings.running_s, self.timings.first_byte_s) if each is not None]
        return min(seen, default=None)
