"""One batch of the plan's JSON, checked and made into a task.

Errors here name the field alone (``memory``, ``env.PATH``); the caller puts the batch's path before it.
"""

from __future__ import annotations

from collections.abc import Mapping

from wavepool.errors import InputError, PlanError, shorten
from wavepool.inputs.environment import string_problem, value_problem, variable_problem
from wavepool.inputs.names import image_problem
from wavepool.labels import task_key
from wavepool.model import AgentOrder, Sidecar, Task
from wavepool.plan.agents import read_agent
from wavepool.plan.limitreading import LimitReader
from wavepool.plan.limits import LimitPolicy
from wavepool.plan.misspelt import meant, near_fields
from wavepool.plan.sidecars import Services, check_writes, read_services, together
from wavepool.plan.tiers import TierMap, read_memory
from wavepool.units import parse_duration

DEFAULT_PROMPT = "Fix errors in assigned files"
ID_MAX_CHARACTERS = 256
NUMBER_MAX = (1 << 31) - 1
"""The bound of every count and wave number: they stand in names, and in columns of 64 bits."""
EXTRA_MAX_LEVELS = 32
"""How deep a field that we do not know may nest: the journal encodes it with every plan."""

_KNOWN = frozenset(
    {
        "batch_id",
        "tier",
        "memory",
        "files",
        "task_prompt",
        "command",
        "image",
        "env",
        "timeout",
        "depends_on",
        "cpus",
        "pids",
        "lifetime",
        "watchdog",
        "commands",
        "sidecars",
        "agent",
        "kind",
    }
)
_KEPT = frozenset({"error_count", "coordination_note"})
"""Fields of the batching step: kept as what we do not know is, but no misspelling of anything."""
_SHARED_MAX = 4096


class BatchReader:
    """Makes tasks of batches. One reader reads one plan; equal limits, texts and commands become one object.

    Args:
        tiers: what memory a tier has.
        memory_override_bytes: the limit of every task, whatever plan and tiers say; None for none.
        policy: limits of batches that say nothing of their own.

    Attributes:
        warnings: about the batch that was read last: what was left out, and what may be misspelt.
    """

    def __init__(self, tiers: TierMap, *, memory_override_bytes: int | None, policy: LimitPolicy) -> None:
        self._tiers = tiers
        self._memory_override_bytes = memory_override_bytes
        self._limits = LimitReader(policy)
        self._sizes: dict[str, int] = {}
        self._commands: dict[str, tuple[str, ...]] = {}
        self._texts: dict[str, str] = {}
        self._extras: dict[tuple[tuple[str, object], ...], Mapping[str, object]] = {}
        self._unknown: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._misspelt: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {}
        self._no_variables: Mapping[str, str] = {}
        self._no_extra: Mapping[str, object] = {}
        self._services: Services = {}
        self._sidecars: tuple[Sidecar, ...] = ()
        self._usual_agent: AgentOrder | None = None
        self.warnings: list[str] = []

    def give_all(self, services: Services, path: str) -> None:
        """The plan's own sidecars: every task has them, unless its batch says otherwise.

        Raises:
            PlanError: they do not go together.
        """
        check_writes(services, path)
        self._services = services
        self._sidecars = together({}, services, path)

    def give_agent(self, given: object) -> None:
        """The plan's own agent: every batch without a command has it, unless it says otherwise.

        Raises:
            PlanError: of a field ``agent``, as that of a batch.
        """
        self._usual_agent = read_agent(given)

    def read(self, batch: object, wave: int) -> Task:
        """The task of one batch.

        Raises:
            PlanError: its path begins at the batch; empty if the batch itself is no object.
        """
        if not isinstance(batch, dict):
            raise PlanError("", batch, "a batch as a JSON object")
        self.warnings.clear()
        task_id = _read_id(batch.get("batch_id"))
        files = _read_files(batch.get("files"))
        timeout_s = _read_timeout(batch.get("timeout"))
        tier, memory_bytes, own = self._read_memory(batch, len(files))
        limits, watchdog = self._limits.read(
            memory_bytes,
            own_memory=own,
            cpus=batch.get("cpus"),
            pids=batch.get("pids"),
            lifetime=batch.get("lifetime"),
            watchdog=batch.get("watchdog"),
            timeout_s=timeout_s,
        )
        return Task(
            id=task_id,
            key=task_key(task_id),
            wave=wave,
            tier=tier,
            limits=limits,
            command=self._read_command(batch.get("command")),
            commands=self._read_commands(batch.get("commands"), batch.get("command")),
            agent=self._read_agent(batch),
            kind=self._share(_read_kind(batch.get("kind"))),
            watchdog=watchdog,
            image=self._read_image(batch.get("image")),
            prompt=self._share(_read_text("task_prompt", batch.get("task_prompt"), DEFAULT_PROMPT)),
            files=files,
            env=self._read_env(batch.get("env")),
            timeout_s=timeout_s,
            depends_on=_read_dependencies(batch.get("depends_on")),
            sidecars=self._read_sidecars(batch.get("sidecars")),
            extra=self._read_extra(batch),
        )

    def _read_memory(self, batch: Mapping[str, object], files: int) -> tuple[int, int, bool]:
        """Tier, bytes, and whether the limit is the batch's own rather than what fits its files, or a preset."""
        tier = batch.get("tier")
        if tier is not None and (type(tier) is not int or not 1 <= tier <= 4):
            raise PlanError("tier", tier, "a tier: 1, 2, 3 or 4")
        given = batch.get("memory")
        memory_bytes = None if given is None else self._read_size(given)
        number, resolved_bytes = self._tiers.resolve(tier=tier, memory_bytes=memory_bytes, files=files)
        if self._memory_override_bytes is not None:
            return number, self._memory_override_bytes, True
        own = given is not None or tier is not None or number in self._tiers.overrides
        if not own and self._limits.policy.memory_bytes is not None:
            return number, self._limits.policy.memory_bytes, False
        return number, resolved_bytes, own

    def _read_size(self, given: object) -> int:
        known = self._sizes.get(given) if isinstance(given, str) else None
        if known is not None:
            return known
        size_bytes = read_memory(given, "memory")
        if isinstance(given, str) and len(self._sizes) < _SHARED_MAX:
            self._sizes[given] = size_bytes
        return size_bytes

    def _read_command(self, given: object) -> tuple[str, ...] | None:
        if given is None:
            return None
        known = self._commands.get(given) if isinstance(given, str) else None
        return known or self._new_command(given)

    def _read_commands(self, given: object, command: object) -> tuple[tuple[str, ...], ...]:
        if given is None:
            return ()
        if command is not None:
            raise PlanError("commands", given, "either command or commands, not both")
        if not isinstance(given, list) or not given:
            raise PlanError("commands", given, "a list of commands, each text for the shell or a list of texts")
        read: list[tuple[str, ...]] = []
        for index, each in enumerate(given):
            try:
                argv = self._read_command(each)
            except PlanError as error:
                raise PlanError(f"commands[{index}]", error.value, error.expected) from None
            if argv is None:
                raise PlanError(f"commands[{index}]", each, "text for the shell, or a list of texts")
            read.append(argv)
        return tuple(read)

    def _new_command(self, given: object) -> tuple[str, ...]:
        if isinstance(given, str):
            argv: tuple[str, ...] = ("/bin/sh", "-c", given)
            empty = not given.strip()
        elif isinstance(given, list) and all(isinstance(part, str) for part in given):
            argv = tuple(given)
            empty = not argv or not argv[0]
        else:
            raise PlanError("command", given, "text for the shell, or a list of texts")
        if empty:
            raise PlanError("command", given, "a command that is not empty")
        for part in argv:
            if (problem := string_problem(part)) is not None:
                raise PlanError("command", part, problem)
        if isinstance(given, str) and len(self._commands) < _SHARED_MAX:
            self._commands[given] = argv
        return argv

    def _read_image(self, given: object) -> str | None:
        if given is None:
            return None
        problem = image_problem(given) if isinstance(given, str) else "an image reference as text"
        if not isinstance(given, str) or problem is not None:
            raise PlanError("image", given, problem or "")
        return self._share(given)

    def _read_env(self, given: object) -> Mapping[str, str]:
        if given is None:
            return self._no_variables
        if not isinstance(given, dict):
            raise PlanError("env", given, "an object of names and values")
        return {name: _read_variable(name, value) for name, value in given.items()}

    def _read_agent(self, batch: Mapping[str, object]) -> AgentOrder | None:
        given = batch.get("agent")
        if given is False:
            return None
        if given is not None:
            return read_agent(given, self._usual_agent)
        runs_itself = batch.get("command") is not None or batch.get("commands") is not None
        return None if runs_itself else self._usual_agent

    def _read_sidecars(self, given: object) -> tuple[Sidecar, ...]:
        if given is None:
            return self._sidecars
        if given is False:
            return ()
        own = read_services(given, "sidecars", self.warnings.append)
        check_writes(own, "sidecars")
        return together(self._services, own, "sidecars")

    def _read_extra(self, batch: Mapping[str, object]) -> Mapping[str, object]:
        # Batches of one plan have few different sets of fields: what is unknown is worked out once for each.
        fields = tuple(batch)
        unknown = self._unknown.get(fields)
        if unknown is None:
            unknown = self._unknown[fields] = tuple(name for name in fields if name not in _KNOWN)
        if not unknown:
            return self._no_extra
        self._warn_of_misspelt(batch, unknown)
        extra = {name: batch[name] for name in unknown}
        _check_extra(extra)
        if any(type(value) not in (str, int) for value in extra.values()):  # 1, 1.0 and true are equal, not the same
            return extra
        key = tuple(extra.items())
        if len(self._extras) < _SHARED_MAX:
            return self._extras.setdefault(key, extra)
        return self._extras.get(key, extra)

    def _warn_of_misspelt(self, batch: Mapping[str, object], unknown: tuple[str, ...]) -> None:
        found = self._misspelt.get(unknown)
        if found is None:
            names = (name for name in unknown if name not in _KEPT)
            found = self._misspelt[unknown] = tuple(near_fields(names, _KNOWN | _KEPT))
        for name, best in found:
            self.warnings.append(f"{name}: {meant('batch ' + shorten(batch['batch_id']), best)}")

    def _share(self, text: str) -> str:
        """An equal text seen before, or `text`; the store is bounded, beyond it nothing new is shared."""
        known = self._texts.get(text)
        if known is None and len(self._texts) < _SHARED_MAX:
            self._texts[text] = text
        return known or text


def _read_kind(given: object) -> str:
    text = _read_text("kind", given, "")
    if len(text) > ID_MAX_CHARACTERS or "\0" in text:
        raise PlanError("kind", given, "text of at most 256 characters without NUL")
    return text


def _read_id(given: object) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= ID_MAX_CHARACTERS or "\0" in given:
        raise PlanError("batch_id", given, "text of 1 to 256 characters without NUL")
    return given


def _read_text(name: str, given: object, default: str) -> str:
    if given is None:
        return default
    if not isinstance(given, str):
        raise PlanError(name, given, "text")
    return given


def _read_files(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise PlanError("files", given, "a list of file names")
    for index, name in enumerate(given):
        if not isinstance(name, str):
            raise PlanError(f"files[{index}]", name, "a file name as text")
    return tuple(given)


def _read_variable(name: str, given: object) -> str:
    if isinstance(given, bool):
        value = "true" if given else "false"
    elif isinstance(given, str | int | float):
        value = str(given)
    else:
        raise PlanError(f"env.{name}", given, "text, a number, true or false")
    problem = variable_problem(name) or value_problem(name, value)
    if problem is not None:
        raise PlanError(f"env.{name:.80}", given, problem)
    return value


def _read_timeout(given: object) -> float | None:
    if given is None:
        return None
    expected = "a duration above zero: seconds, or text such as 1m36s"
    if not isinstance(given, str | int | float):
        raise PlanError("timeout", given, expected)
    try:
        return parse_duration(given)
    except InputError:
        raise PlanError("timeout", given, expected) from None


def _read_dependencies(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list):
        raise PlanError("depends_on", given, "a batch_id, or a list of them")
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise PlanError(f"depends_on[{index}]", name, "a batch_id as text")
    return tuple(dict.fromkeys(names))


def _check_extra(extra: Mapping[str, object]) -> None:
    """The two fields of the batching step have the types it gives them; nothing is nested without end."""
    count = extra.get("error_count")
    if count is not None and (type(count) is not int or not 0 <= count <= NUMBER_MAX):
        raise PlanError("error_count", count, "a whole number of at least 0")
    _read_text("coordination_note", extra.get("coordination_note"), "")
    for name, value in extra.items():
        if isinstance(value, dict | list) and _nests_beyond(value, EXTRA_MAX_LEVELS):
            raise PlanError(f"{name:.80}", value, f"at most {EXTRA_MAX_LEVELS} levels of nesting")


def _nests_beyond(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    members = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_nests_beyond(member, levels - 1) for member in members)
