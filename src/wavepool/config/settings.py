"""Every setting: its name, type, default, seed variable, option, and what a right value looks like.

The type of a field is what the rest of Wavepool gets; validators take the text that people write. Checked by pydantic,
as all that comes from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wavepool.errors import InputError
from wavepool.inputs import image_problem, network_problem
from wavepool.inputs.egress import EGRESS_EXPECTED, mode_problem, parse_egress
from wavepool.inputs.softlimits import SoftLimit, expected_soft_limit, parse_soft_limit
from wavepool.inputs.subnets import DEFAULT_SUBNET_POOL, subnet_pool_problem
from wavepool.model import (
    AUTO_STARTS,
    LOG_LIMIT_BYTES,
    PARKED_BYTES,
    Isolation,
    Schedule,
    VerdictKind,
    WatchdogRule,
    WorkspaceKind,
)
from wavepool.units import DOCKER_MEMORY_MIN_BYTES, GIB, MIB, parse_duration, parse_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What people know a setting by, beside its name.

    Attributes:
        expected: what a right value is; ends the message about a wrong one.
        seed: the seeds' variable, if they have one.
        shared: a variable of seed 002 that other programs read too; the last that is looked for.
        option: the command line's spelling where it is not ``--<name with dashes>``.
    """

    expected: str
    seed: str | None = None
    shared: str | None = None
    option: str | None = None


def _text(problem: Callable[[str], str | None]) -> AfterValidator:
    def check(value: str) -> str:
        found = problem(value)
        if found is not None:
            raise ValueError(found)
        return value

    return AfterValidator(check)


def _maybe(problem: Callable[[str], str | None]) -> AfterValidator:
    """As `_text`, where None is "not given"."""

    def check(value: str | None) -> str | None:
        if value is not None and (found := problem(value)) is not None:
            raise ValueError(found)
        return value

    return AfterValidator(check)


def _hosts(value: object) -> object:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError("a list of hosts")
    try:
        return parse_egress(items)
    except InputError as error:
        raise ValueError(str(error)) from None


def _size(value: object) -> object:
    if value is None:
        return None
    try:
        size_bytes = parse_size(value)  # type: ignore[arg-type]  # it refuses other types itself
    except InputError as error:
        raise ValueError(str(error)) from None
    return size_bytes


def _limit(value: object) -> object:
    size_bytes = _size(value)
    if isinstance(size_bytes, int) and size_bytes < DOCKER_MEMORY_MIN_BYTES:
        raise ValueError("below the least that Docker accepts")
    return size_bytes


def _budget(value: object) -> object:
    return value if value == "auto" else _size(value)


def _warm(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("auto or a number")
    return value


def _starts(value: object) -> object:
    """A number may be typed, and no text but ``auto`` stands for one."""
    if isinstance(value, bool):
        raise ValueError("auto or a number")
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _seconds(value: object) -> object:
    try:
        return parse_duration(value)  # type: ignore[arg-type]  # it refuses other types itself
    except InputError as error:
        raise ValueError(str(error)) from None


def _level(value: object) -> object:
    """Levels by the names that other programs have for them too, as they read LOG_LEVEL as well."""
    others = {"trace": "debug", "notice": "info", "warning": "warn", "critical": "error", "fatal": "error"}
    return others.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _kinds(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _soft(rule: WatchdogRule) -> BeforeValidator:
    def read(value: object) -> object:
        try:
            return None if value is None else parse_soft_limit(rule, value)
        except InputError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(read)


def _no_switch(value: object) -> object:
    if isinstance(value, bool):  # pydantic would take true for 1
        raise ValueError("a number")
    return value


SPAWN_STARTS = 5
"""The seed's default."""
LOG_LIMIT_MIN_BYTES = 64 * 1024
"""The process driver's tail; and an engine that rotates its files all the time loses more than it keeps."""
_LIMIT_EXPECTED = "a size of at least 6m, such as 512m or 1g"
_SWITCH = "true or false"
_PORT = "a port from 1 to 65535, or 0 for any that is free"
_SECONDS = "a duration above zero such as 90, 30m or 1m36s"
_Limit = Annotated[int, BeforeValidator(_limit)]
_Seconds = Annotated[float, BeforeValidator(_seconds)]
_Retriable = Literal[
    VerdictKind.FAILED, VerdictKind.TIMEOUT, VerdictKind.OOM, VerdictKind.LOST, VerdictKind.START_ERROR
]
_RETRIABLE: tuple[_Retriable, ...] = get_args(_Retriable)
_Whole = Annotated[int, BeforeValidator(_no_switch)]
_DOLLARS = "an amount of US dollars above zero, such as 2.50"
_Dollars = Annotated[float, BeforeValidator(_no_switch), Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """All settings, checked. Sizes are bytes, durations seconds, paths absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    # Where and in what tasks run.
    driver: Annotated[Literal["auto", "docker", "process"], Source(expected="auto, docker or process")] = "auto"
    base_image: Annotated[
        str, _text(image_problem), Source(expected="an image reference such as name:tag", seed="CFN_DOCKER_IMAGE")
    ] = "claude-flow-novice:latest"
    pull: Annotated[Literal["missing", "always", "never"], Source(expected="missing, always or never")] = "missing"
    network: Annotated[
        str,
        _text(network_problem),
        Source(expected="a network's name (not host; for none use --isolate none)", seed="CFN_DOCKER_NETWORK"),
    ] = "cfn-network"
    isolate: Annotated[Isolation, Source(expected="shared, wave or none")] = Isolation.SHARED
    workspace: Annotated[Path, Source(expected="a directory", seed="CFN_DOCKER_WORKSPACE")] = Path("/workspace")
    subnet_pool: Annotated[
        str, _text(subnet_pool_problem), Source(expected="private IPv4 ranges of at least /28, with commas between")
    ] = DEFAULT_SUBNET_POOL
    user: Annotated[
        str | None, Field(pattern=r"^[0-9]{1,10}:[0-9]{1,10}$"), Source(expected="uid:gid, both numbers")
    ] = None
    name_prefix: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,19}$"),
        Source(expected="1 to 20 lower case letters, digits, _, . and -, starting with a letter or digit"),
    ] = "cfn-"

    # How much at once, in what order.
    parallel: Annotated[
        Annotated[int, Field(ge=1, le=10_000)] | Annotated[str, Field(pattern=r"^auto(:[1-9][0-9]{0,3})?$")],
        BeforeValidator(_starts),
        Source(expected="auto, auto:N, or a whole number from 1 to 10000", seed="CFN_SPAWN_PARALLEL_LIMIT"),
    ] = "auto"
    budget: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1)],
        BeforeValidator(_budget),
        Source(expected="auto, or a size such as 40g"),
    ] = "auto"
    schedule: Annotated[Schedule, Source(expected="barrier or rolling")] = Schedule.BARRIER
    start_order: Annotated[Literal["learned", "plan"], Source(expected="learned or plan")] = "learned"
    warm: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=0, le=10_000)],
        BeforeValidator(_warm),
        Source(expected="auto, or a whole number from 0 to 10000"),
    ] = 0
    parked_memory: Annotated[
        int, BeforeValidator(_size), Field(ge=MIB), Source(expected="a size of at least 1m, such as 32m")
    ] = PARKED_BYTES
    memory: Annotated[_Limit | None, Source(expected=_LIMIT_EXPECTED)] = None
    cpus: Annotated[
        float | None, Field(ge=0.01, le=10_000, allow_inf_nan=False), Source(expected="cores, from 0.01")
    ] = None
    pids: Annotated[_Whole | None, Field(ge=1, le=4_194_304), Source(expected="a whole number from 1")] = None
    lifetime: Annotated[_Seconds | None, Source(expected=_SECONDS)] = None
    preset: Annotated[Literal["none", "guarded"], Source(expected="none or guarded")] = "none"
    watch_pids: Annotated[
        SoftLimit | None, _soft(WatchdogRule.PIDS), Source(expected=expected_soft_limit(WatchdogRule.PIDS))
    ] = None
    watch_memory: Annotated[
        SoftLimit | None, _soft(WatchdogRule.MEMORY), Source(expected=expected_soft_limit(WatchdogRule.MEMORY))
    ] = None
    watch_lifetime: Annotated[
        SoftLimit | None, _soft(WatchdogRule.LIFETIME), Source(expected=expected_soft_limit(WatchdogRule.LIFETIME))
    ] = None
    watch_progress: Annotated[
        SoftLimit | None,
        _soft(WatchdogRule.NO_PROGRESS),
        Source(expected=expected_soft_limit(WatchdogRule.NO_PROGRESS)),
    ] = None
    tier_1_memory: Annotated[_Limit | None, Source(expected=_LIMIT_EXPECTED, seed="CFN_TIER_1_MEMORY")] = None
    tier_2_memory: Annotated[_Limit | None, Source(expected=_LIMIT_EXPECTED, seed="CFN_TIER_2_MEMORY")] = None
    tier_3_memory: Annotated[_Limit | None, Source(expected=_LIMIT_EXPECTED, seed="CFN_TIER_3_MEMORY")] = None
    tier_4_memory: Annotated[_Limit | None, Source(expected=_LIMIT_EXPECTED, seed="CFN_TIER_4_MEMORY")] = None

    # How long, and what when it fails.
    monitor_timeout: Annotated[_Seconds, Source(expected=_SECONDS, seed="CFN_MONITOR_TIMEOUT", option="--timeout")] = (
        1800.0
    )
    poll_interval: Annotated[_Seconds, Source(expected=_SECONDS, seed="CFN_MONITOR_POLL_INTERVAL")] = 5.0
    grace: Annotated[_Seconds, Source(expected=_SECONDS)] = 10.0
    spawn_lifetime: Annotated[_Seconds, Source(expected=_SECONDS)] = 43_200.0
    retries: Annotated[_Whole, Field(ge=1, le=1000), Source(expected="a whole number from 1 (attempts altogether)")] = 1
    retry_on: Annotated[
        tuple[_Retriable, ...],
        BeforeValidator(_kinds),
        Source(expected=f"verdicts with commas between, of {', '.join(_RETRIABLE)}"),
    ] = _RETRIABLE
    keep_going: Annotated[bool, Source(expected=_SWITCH)] = False

    # Agents: how they work, where, and what they may use up.
    agent: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$"),
        Source(expected="the name of an agent, such as claude, codex or command"),
    ] = "claude"
    agent_image: Annotated[
        str | None, _maybe(image_problem), Source(expected="an image reference such as name:tag", option="--image")
    ] = None
    agent_memory: Annotated[_Limit, Source(expected=_LIMIT_EXPECTED)] = 2 * GIB
    agent_timeout: Annotated[_Seconds, Source(expected=_SECONDS, option="--timeout")] = 3600.0
    agent_network: Annotated[
        str | None,
        _maybe(mode_problem),
        Source(expected="a network's name (not host), or none for no network", option="--network"),
    ] = None
    model: Annotated[str | None, Field(min_length=1, max_length=256), Source(expected="the name of a model")] = None
    max_turns: Annotated[_Whole | None, Field(ge=1), Source(expected="a whole number from 1")] = 50
    max_cost: Annotated[_Dollars | None, Source(expected=_DOLLARS)] = None
    max_tokens: Annotated[_Whole | None, Field(ge=1), Source(expected="a whole number from 1")] = None
    run_max_cost: Annotated[_Dollars | None, Source(expected=_DOLLARS)] = None
    run_max_tokens: Annotated[_Whole | None, Field(ge=1), Source(expected="a whole number from 1")] = None
    account: Annotated[
        str | None, Field(min_length=1, max_length=256), Source(expected="any name for what pays for them")
    ] = None
    rate_limit_retries: Annotated[_Whole, Field(ge=0, le=1000), Source(expected="a whole number from 0")] = 3
    repo: Annotated[Path | None, Source(expected="a directory of a git repository")] = None
    workspace_kind: Annotated[WorkspaceKind | None, Source(expected="shared, worktree or clone")] = None
    egress: Annotated[
        tuple[str, ...], BeforeValidator(_hosts), Source(expected=f"{EGRESS_EXPECTED}, with commas between")
    ] = ()
    allow_host: Annotated[bool, Source(expected=_SWITCH)] = False

    # Checks, and what is planned by them.
    check_timeout: Annotated[_Seconds, Source(expected=_SECONDS)] = 600.0
    output_limit: Annotated[
        int, BeforeValidator(_size), Field(ge=LOG_LIMIT_MIN_BYTES), Source(expected="a size of at least 64k")
    ] = 256 * MIB
    check_image: Annotated[
        str | None, _maybe(image_problem), Source(expected="an image reference such as name:tag")
    ] = None
    check_memory: Annotated[_Limit, Source(expected=_LIMIT_EXPECTED)] = 2 * GIB
    strategy: Annotated[Literal["file", "directory", "imports"], Source(expected="file, directory or imports")] = (
        "imports"
    )
    packing: Annotated[Literal["best", "shortest", "in-order"], Source(expected="best, shortest or in-order")] = "best"
    max_parallel: Annotated[_Whole, Field(ge=1, le=10_000), Source(expected="a whole number from 1 to 10000")] = 32
    max_files: Annotated[_Whole, Field(ge=1, le=10_000), Source(expected="a whole number from 1 to 10000")] = 20
    tier_config: Annotated[Path | None, Source(expected="a file")] = None

    # The page of `serve` and of `run --dashboard`.
    http_port: Annotated[_Whole, Field(ge=0, le=65_535), Source(expected=_PORT, seed="HTTP_PORT", option="--port")] = (
        8080
    )
    websocket_port: Annotated[
        _Whole, Field(ge=0, le=65_535), Source(expected=_PORT, seed="WEBSOCKET_PORT", option="--ws-port")
    ] = 9001

    # What is only shown, what is kept, and where.
    spawn_dry_run: Annotated[bool, Source(expected=_SWITCH, seed="CFN_SPAWN_DRY_RUN", option="--dry-run")] = False
    cleanup_dry_run: Annotated[bool, Source(expected=_SWITCH, seed="CFN_CLEANUP_DRY_RUN", option="--dry-run")] = False
    preserve_logs: Annotated[bool, Source(expected=_SWITCH, seed="CFN_MONITOR_PRESERVE_LOGS")] = False
    cleanup_preserve_failed: Annotated[
        bool, Source(expected=_SWITCH, seed="CFN_CLEANUP_PRESERVE_FAILED", option="--preserve-failed-logs")
    ] = True
    keep_failed: Annotated[bool, Source(expected=_SWITCH)] = False
    learn_history: Annotated[bool, Source(expected=_SWITCH)] = True
    log_limit: Annotated[
        int, BeforeValidator(_size), Field(ge=LOG_LIMIT_MIN_BYTES), Source(expected="a size of at least 64k")
    ] = LOG_LIMIT_BYTES
    cache: Annotated[Path | None, Source(expected="a directory")] = None
    log_dir: Annotated[Path | None, Source(expected="a directory", seed="CFN_LOG_DIR")] = None
    log_level: Annotated[
        Literal["debug", "info", "warn", "error"],
        BeforeValidator(_level),
        Source(expected="debug, info, warn or error", seed="CFN_LOG_LEVEL", shared="LOG_LEVEL"),
    ] = "info"
    state_dir: Annotated[Path, Source(expected="a directory")]

    @property
    def tier_overrides(self) -> dict[int, int]:
        """Tier number -> bytes, for the tiers whose memory was set."""
        given = {1: self.tier_1_memory, 2: self.tier_2_memory, 3: self.tier_3_memory, 4: self.tier_4_memory}
        return {tier: size_bytes for tier, size_bytes in given.items() if size_bytes is not None}

    @property
    def starts_at_once(self) -> int:
        """The most starts that may be under way at once."""
        if isinstance(self.parallel, int):
            return self.parallel
        return int(self.parallel.partition(":")[2] or AUTO_STARTS)

    @property
    def starts_follow_pressure(self) -> bool:
        """True where the pressure on the host says how many, up to `starts_at_once`."""
        return isinstance(self.parallel, str)

    @property
    def starts_of_spawn(self) -> int:
        """Of `spawn`: it starts a wave and goes, with no time to feel its way, so ``auto`` is the seed's number."""
        return min(self.starts_at_once, SPAWN_STARTS) if self.starts_follow_pressure else self.starts_at_once

    @property
    def soft_limits(self) -> dict[WatchdogRule, SoftLimit]:
        """The soft limits that were set."""
        given = {
            WatchdogRule.PIDS: self.watch_pids,
            WatchdogRule.MEMORY: self.watch_memory,
            WatchdogRule.LIFETIME: self.watch_lifetime,
            WatchdogRule.NO_PROGRESS: self.watch_progress,
        }
        return {rule: limit for rule, limit in given.items() if limit is not None}


def source_of(name: str) -> Source:
    """What people know the setting `name` by."""
    return next(item for item in Settings.model_fields[name].metadata if isinstance(item, Source))


PATHS = frozenset({"workspace", "repo", "cache", "log_dir", "state_dir", "tier_config"})
"""Settings that are paths: relative ones count from the working directory, or from their wavepool.toml."""
