"""The seed's `ContainerConfig`: what a task's container gets, and how its agent is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from wavepool.errors import SettingError
from wavepool.inputs import image_problem, network_problem
from wavepool.model import AgentOrder
from wavepool.plan.agents import order_of
from wavepool.units import DOCKER_MEMORY_MIN_BYTES, parse_duration, parse_size

CLAUDE = "claude"


class _Unsaid(str):
    """A default that nobody wrote: equal to the text that somebody may write, and still told apart from it."""

    __slots__ = ()


UNSAID_NETWORK = _Unsaid("bridge")


def _flags() -> list[str]:
    return ["--dangerously-skip-permissions", "--verbose"]


@dataclass(kw_only=True, slots=True)
class ContainerConfig:
    """All fields of the seed with its defaults, and ours after them. It may be changed until it is used.

    Attributes:
        image: what tasks run in.
        cpu_limit: cores, as ``"2.0"`` or a number; more than the host has is taken for all it has. A limit, no
            reservation: tasks that wait for their model need none.
        memory_limit: ``4g``, ``512m``, or bytes; it is set aside for the task, and enforced. More than the host has
            left is taken for that.
        timeout_seconds: after it the task is stopped, and its status is ``timeout``. A number, or text as ``30m``.
        auto_remove: containers are removed as soon as their output is read. False keeps what each leaves (its file
            system, as an image that `wavepool exec` opens) until `cleanup`.
        network_mode: ``none``, ``bridge`` (Docker's own, open to everywhere), or a network's name, made where there is
            none. Where it is not given agents are sealed: they reach their model's hosts and those of `egress` alone.
        max_turns, output_format: of the agent.
        claude_flags: more arguments for the agent, whichever it is; they beat what the other fields come to.
        agent: ``claude``, or another that `wavepool.agents` knows; ``command`` runs `claude_flags` as a program that
            is given the prompt on stdin.
        model, max_cost_usd, max_tokens: of one task; None for the agent's own model, and for no bound.
        env: variables; `docker inspect` shows them.
        secrets: as `--secret` has them: ``NAME``, ``NAME=env:VARIABLE``, ``NAME=file:PATH``. The agent's own key is
            taken from this process's environment without being named.
        mounts: as `--mount` has them: ``SOURCE:TARGET[:rw]``.
        user: ``uid:gid``; None for the owner of the task's directory.
        egress: hosts that a sealed agent may reach beside its model's.
        pull: images: ``missing``, ``always`` or ``never``.
        allow_host: where there is no Docker, an agent that asks nobody may do what it likes on the bare host.
    """

    image: str = "claude-orchestrator:latest"
    cpu_limit: str | float = "2.0"
    memory_limit: str | int = "4g"
    timeout_seconds: float | str = 3600
    auto_remove: bool = True
    network_mode: str = UNSAID_NETWORK
    max_turns: int | None = 50
    output_format: str = "json"
    claude_flags: Sequence[str] = field(default_factory=_flags)
    agent: str = CLAUDE
    model: str | None = None
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    mounts: Sequence[str] = ()
    user: str | None = None
    egress: Sequence[str] = ()
    pull: str = "missing"
    allow_host: bool = False

    @property
    def sealed(self) -> bool:
        """True where agents reach nothing but what they are allowed to: nobody named a network."""
        return isinstance(self.network_mode, _Unsaid)

    @property
    def memory_bytes(self) -> int:
        """Raises SizeError, or SettingError where it is below what Docker takes."""
        limit_bytes = parse_size(self.memory_limit)
        if limit_bytes < DOCKER_MEMORY_MIN_BYTES:
            raise SettingError("memory_limit", self.memory_limit, "a size of at least 6m, such as 512m or 4g")
        return limit_bytes

    @property
    def cpus(self) -> float:
        """Cores. Raises SettingError."""
        try:
            cores = float(self.cpu_limit)
        except (TypeError, ValueError):
            cores = 0.0
        if not 0.01 <= cores <= 10_000 or not isfinite(cores):
            raise SettingError("cpu_limit", self.cpu_limit, "cores, from 0.01")
        return cores

    @property
    def timeout_s(self) -> float:
        """Raises InputError."""
        return parse_duration(self.timeout_seconds)

    def order(self, max_turns: int | None = None) -> AgentOrder:
        """What the agent is asked, with a task's own number of turns in place of the config's.

        Raises:
            PlanError: a field is wrong.
        """
        flags = list(self.claude_flags) if self.agent == CLAUDE else _without_claudes(self.claude_flags)
        if max_turns is not None:
            flags = _without(flags, "--max-turns")
        kind = self.output_format
        if kind not in ("json", "stream-json"):  # the user knows what the agent's own formats are
            flags, kind = [f"--output-format={kind}", *flags], "stream-json"
        given: dict[str, object] = {
            "name": self.agent,
            "max_turns": self.max_turns if max_turns is None else max_turns,
            "model": self.model,
            "flags": flags,
            "output_format": kind,
            "max_cost_usd": self.max_cost_usd,
            "max_tokens": self.max_tokens,
        }
        return order_of(given)

    def check(self) -> None:
        """See that every field is what it should be, before anything starts.

        Raises:
            InputError: naming the field, what it is and what was expected.
        """
        problem = image_problem(self.image)
        if problem is not None:
            raise SettingError("image", self.image, problem)
        if self.network_mode != "none":
            problem = network_problem(self.network_mode)
            if problem is not None:
                raise SettingError("network_mode", self.network_mode, problem)
        if self.pull not in ("missing", "always", "never"):
            raise SettingError("pull", self.pull, "missing, always or never")
        _ = (self.memory_bytes, self.cpus, self.timeout_s, self.order())


BY_COMPLEXITY: Mapping[str, tuple[str, str]] = {"high": ("4.0", "8g"), "medium": ("2.0", "4g"), "low": ("1.0", "2g")}
"""The seed's CPU and memory for a task's `complexity`."""


def for_complexity(config: ContainerConfig, complexity: str) -> ContainerConfig:
    """The config with CPU and memory for tasks of that complexity; one that is not known counts as low."""
    cpu_limit, memory_limit = BY_COMPLEXITY.get(complexity, BY_COMPLEXITY["low"])
    return replace(config, cpu_limit=cpu_limit, memory_limit=memory_limit)


def _without(flags: Sequence[str], option: str) -> list[str]:
    kept: list[str] = []
    skip = False
    for flag in flags:
        if not skip and flag != option and not flag.startswith(f"{option}="):
            kept.append(flag)
        skip = not skip and flag == option
    return kept


def _without_claudes(flags: Sequence[str]) -> list[str]:
    """Of another agent: our default is for Claude alone."""
    return [] if list(flags) == _flags() else list(flags)
