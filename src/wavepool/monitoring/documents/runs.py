"""A run, its waves, tasks and attempts."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from wavepool.engine.usage.figures import Used


class TaskCounts(TypedDict):
    """Tasks of a run or a wave by where they are. Their sum is `total`.

    `pending` have not begun (or wait for another attempt); `starting`, `running` have an attempt under way;
    `succeeded`, `failed`, `skipped` are final: `failed` is every verdict that is neither success nor skipped.
    """

    total: int
    pending: int
    starting: int
    running: int
    succeeded: int
    failed: int
    skipped: int


class RunLine(TypedDict):
    """One run, as in a list of runs.

    `state` is live, unfinished, success, failed, interrupted, infrastructure, spawned, empty or damaged, as `wavepool
    runs` has it; a live one may be `paused` (nothing new starts) or `draining` (it was cancelled). `took_s` counts the
    time in which somebody worked on it. `held_bytes` is memory that attempts hold of `budget_bytes`. `spent_usd` is
    there where an agent has told a cost.
    """

    id: str
    state: str
    tasks: TaskCounts
    driver: NotRequired[str]
    execution_mode: NotRequired[str]
    schedule: NotRequired[str]
    started_at: NotRequired[str]
    ended_at: NotRequired[str]
    took_s: NotRequired[float]
    held_bytes: NotRequired[int]
    budget_bytes: NotRequired[int]
    spent_usd: NotRequired[float]
    tokens: NotRequired[int]
    pid: NotRequired[int]
    paused: NotRequired[bool]
    draining: NotRequired[bool]
    held_back: NotRequired[str]
    left_s: NotRequired[float]
    problem: NotRequired[str]
    resume: NotRequired[str]


class Efficiency(TypedDict):
    """How well a run used the machine, as of now.

    `work_s` is what its attempts took together, `elapsed_s` how long the run was worked on, without the time in which
    it was paused and nothing ran (`took_s` of its line counts that too), `speed_up` their ratio, `peak` the most
    attempts that ran at once, `efficiency_percent` is 100 x lower bound / elapsed (at most 100).
    `lower_bound_s` is the makespan that no schedule of these attempts can beat: max(longest chain of dependencies and,
    under barrier, of waves; sum of memory x duration / memory of the budget; `work_s` / parallelism).
    """

    work_s: float
    elapsed_s: float
    speed_up: NotRequired[float]
    efficiency_percent: NotRequired[float]
    lower_bound_s: NotRequired[float]
    peak: int


class UsageNow(TypedDict):
    """What an attempt used when it was looked at last; `cpu_percent` since the look before."""

    at: str
    memory_bytes: NotRequired[int]
    memory_limit_bytes: NotRequired[int]
    cpu_percent: NotRequired[float]
    pids: NotRequired[int]


class UsageHistory(TypedDict):
    """Readings in the order of time, one list for each figure, all of one length; None where it could not be read.

    `at` are seconds since the epoch. At most `monitoring.usage.readings.KEPT` readings are of the last minutes; those
    before come from what the run wrote down: fewer, with the peak of memory and the mean of CPU since the one before.
    """

    at: list[float]
    memory_bytes: list[int | None]
    cpu_percent: list[float | None]


class AttemptEntry(TypedDict):
    """One attempt. `state` is its verdict, or intended, running, stopping, exited. `evidence` are sentences.

    `memory_peak_bytes`: the most that was seen of it, once it has ended. `used` is there once nobody works on the run,
    of as many attempts as the run has kept apart.
    """

    number: int
    state: str
    intended_at: str
    started_at: NotRequired[str]
    ended_at: NotRequired[str]
    duration_s: NotRequired[float]
    exit_code: NotRequired[int]
    memory_peak_bytes: NotRequired[int]
    used: NotRequired[Used]
    evidence: NotRequired[list[str]]
    container_id: NotRequired[str]
    container_name: NotRequired[str]
    warm: NotRequired[bool]
    held_bytes: NotRequired[int]
    log_bytes: NotRequired[int]
    log_problem: NotRequired[str]
    warnings: NotRequired[list[str]]
    kept: NotRequired[str]
    left_behind: NotRequired[str]
    retried_because: NotRequired[str]
    cost_usd: NotRequired[float]
    tokens: NotRequired[int]
    turns: NotRequired[int]
    branch: NotRequired[str]
    changed_files: NotRequired[int]


class TaskEntry(TypedDict):
    """One task. Its `key` is in addresses; its `id` is what people called it, any text.

    `state` is pending, starting, running, stopping, exited, retrying, skipped, or the verdict of its last attempt.
    `why` says why it waits, was skipped, or ended as it did, `cause` is the group of `RunDocument.failures` that it is
    in. `attempts` are by number as text. `history` is only in a
    whole document, never in a patch: who follows adds `usage` to it as it changes.
    """

    key: str
    id: str
    wave: int
    place: int
    state: str
    why: NotRequired[str]
    cause: NotRequired[str]
    image: NotRequired[str]
    command: NotRequired[str]
    agent: NotRequired[str]
    tier: NotRequired[int]
    memory_limit_bytes: NotRequired[int]
    files: NotRequired[int]
    depends_on: NotRequired[list[str]]
    variables: NotRequired[list[str]]
    attempts: NotRequired[dict[str, AttemptEntry]]
    usage: NotRequired[UsageNow]
    history: NotRequired[UsageHistory]
    says: NotRequired[str]
    cost_usd: NotRequired[float]
    tokens: NotRequired[int]


class WaveEntry(TypedDict):
    """One wave. `state` is waiting, open or settled; `took_before_s` is of one that a retry made pending again."""

    number: int
    state: str
    tasks: TaskCounts
    opened_at: NotRequired[str]
    settled_at: NotRequired[str]
    took_s: NotRequired[float]
    took_before_s: NotRequired[float]
    reopened_at: NotRequired[str]
    parallelism: NotRequired[int]
    waits_for: NotRequired[str]


RunSpan = TypedDict("RunSpan", {"kind": Literal["paused", "away"], "from": str, "to": NotRequired[str]})
"""A time in which a run was held back. `paused`: somebody wanted nothing new to start; without `to` it goes on.

`away`: nobody is known to have worked on it, from the last fact of one process to the first of the next: that its
attempts ran meanwhile may be, and that the process died later than it wrote last. Both may be at once.
"""


class FailureGroup(TypedDict):
    """Tasks that failed alike: of one `state` and exit code, for one reason but for its figures and ids.

    `why` is that of the first, `count` how many they are, `first` the ids of some of them by key.
    """

    id: str
    state: str
    why: str
    count: int
    first: dict[str, str]
    exit_code: NotRequired[int]


class RunDocument(TypedDict):
    """A run, whole: the channel ``run:<id>``, and what the report shows.

    Of a run with more than `monitoring.runs.document.SHOWN` tasks those under way and those that ended last are shown
    here, and `tasks_left_out` are not; the REST interface pages through all. `waves` are by number as text, `tasks` by
    key, `spans` by number as text, the last `monitoring.runs.spans.KEPT_SPANS` of them. `failures` are by id, the
    largest `monitoring.runs.causes.GROUPS_SHOWN` groups, `failures_left_out` how many others there are. `usage` is of
    all attempts together, and only in a whole document: who follows adds `usage_now` to it. `used` sums it up once
    nobody works on the run; `usage_problem` says why there is none of it, or not all.
    """

    run: RunLine
    waves: dict[str, WaveEntry]
    tasks: dict[str, TaskEntry]
    tasks_left_out: NotRequired[int]
    efficiency: NotRequired[Efficiency]
    spans: NotRequired[dict[str, RunSpan]]
    failures: NotRequired[dict[str, FailureGroup]]
    failures_left_out: NotRequired[int]
    usage: NotRequired[UsageHistory]
    usage_now: NotRequired[UsageNow]
    used: NotRequired[Used]
    usage_problem: NotRequired[str]
    left_behind: NotRequired[list[str]]
    as_of: str
