"""Prompts and task lists as plans of one wave. Pure: whoever calls reads the files.

A list is JSON or YAML: a list of tasks, or an object with them in `tasks`. What a task says of its limits, image and
variables is read as what a batch of a wave plan says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from wavepool.errors import InputError, PlanError, UnreadableFile, Words
from wavepool.inputs.yamltext import NotYaml, load_yaml
from wavepool.labels import task_key
from wavepool.model import AgentOrder, Task, Wave
from wavepool.plan.agents import FIELDS as AGENT_FIELDS
from wavepool.plan.agents import order_of, read_agent
from wavepool.plan.batches import BatchReader
from wavepool.plan.dependencies import drawn, find_circle
from wavepool.plan.limits import DEFAULT_LIMITS, LimitPolicy
from wavepool.plan.misspelt import near_fields
from wavepool.plan.reading import check_texts, read_json
from wavepool.plan.schema import Plan, WaveSlice
from wavepool.plan.tiers import TierMap

PROMPTS_DIRECTORY = "prompts"
"""Where a task's prompt is by default: ``prompts/<id>.md``."""

_BATCH_FIELDS = {
    "id": "batch_id",
    "dependencies": "depends_on",
    "target_files": "files",
    "timeout_seconds": "timeout",
    **{
        name: name
        for name in ("tier", "memory", "cpus", "pids", "lifetime", "watchdog", "image", "env", "command", "sidecars")
    },
}
"""A task's field -> the batch's field of the same meaning."""
_ORDER_FIELDS = {name: name for name in AGENT_FIELDS if name != "name"}
_OWN_FIELDS = ("name", "prompt", "prompt_file", "agent", "kind")
_ALIASES = {
    "depends_on": "dependencies",
    "files": "target_files",
    "timeout": "timeout_seconds",
    "max_cost": "max_cost_usd",
    "claude_flags": "flags",
}
"""Other words for a field: those of wave plans, of our options, and of the seed's `ContainerConfig`."""
FIELD_NAMES = frozenset({*_BATCH_FIELDS, *_ORDER_FIELDS, *_OWN_FIELDS, *_ALIASES})
"""All that a task may have, each under all its names."""
_LIST_FIELDS = frozenset({"tasks"})
NAME_MAX_CHARACTERS = 256
PLAIN_COMMAND = "command"
"""The agent that reads the output of a task with a command of its own, unless it names another: it judges by the exit
code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefaults:
    """What holds where a task says nothing.

    Attributes:
        order: the agent, and how it works.
        memory_bytes: of a task without memory and tier.
        memory_override_bytes: of every task, whatever it says; None for none.
        tiers, policy: as for batches.
    """

    order: AgentOrder
    memory_bytes: int
    memory_override_bytes: int | None = None
    tiers: TierMap = field(default_factory=TierMap)
    policy: LimitPolicy = DEFAULT_LIMITS

    def reader(self) -> BatchReader:
        """What reads limits, image and variables."""
        policy = self.policy if self.policy.memory_bytes else replace(self.policy, memory_bytes=self.memory_bytes)
        return BatchReader(self.tiers, memory_override_bytes=self.memory_override_bytes, policy=policy)


def plan_of_prompts(prompts: Sequence[str], usual: TaskDefaults, *, copies: int = 1, name: str = "") -> Plan:
    """A plan of one task for each prompt, or of so many; ids are ``<name>-<prompt>-<copy>``.

    Args:
        prompts: at least one, byte-exact.
        copies: how many agents work on each, at least 1.
        name: what the ids begin with, and the whole id of a single task; empty for ``task``.

    Raises:
        PlanError: a prompt that is empty or no Unicode, a name that cannot be one, or limits that do not go together.
    """
    reader = usual.reader()
    tasks: list[Task] = []
    for number, prompt in enumerate(prompts, 1):
        _check_prompt(prompt, f"prompt {number}")
        for copy in range(1, copies + 1):
            alone = bool(name) and len(prompts) == 1
            task_id = _id(name or "task", None if alone else number, copy if copies > 1 else None)
            batch = {"batch_id": task_id, "task_prompt": prompt}
            tasks.append(replace(_read(reader, batch, "--name"), agent=usual.order))
    return _plan(tasks, "the command line", "tasks", [])


def parse_task_list(
    raw: bytes, *, source: str, usual: TaskDefaults, read_prompt: Callable[[str], str], is_yaml: bool | None = None
) -> Plan:
    """The plan that a task list is.

    Args:
        raw: the file.
        source: its name, for messages.
        usual: what holds where a task says nothing.
        read_prompt: the text of a prompt file, by its name as the list has it; raises InputError where there is none.
        is_yaml: None to tell by its first character: ``{`` and ``[`` begin JSON.

    Raises:
        PlanError: naming the task and the field, what stands there and what was expected.
        InputError: a prompt file cannot be read.
    """
    root, entries = _entries(_document(raw, source, is_yaml), source)
    reading = _ListReading(root, usual, read_prompt)
    for place, entry in enumerate(entries):
        reading.read(place, entry)
    reading.check_dependencies()
    return _plan(reading.tasks, source, root, reading.warnings)


class _ListReading:
    """What has been read of one list so far."""

    def __init__(self, root: str, usual: TaskDefaults, read_prompt: Callable[[str], str]) -> None:
        self._root = root
        self._usual = usual
        self._reader = usual.reader()
        self._read_prompt = read_prompt
        self._places: dict[str, int] = {}
        self.tasks: list[Task] = []
        self.warnings: list[str] = []

    def read(self, place: int, entry: object) -> None:
        """Read one task.

        Raises:
            PlanError, InputError: as `parse_task_list`.
        """
        path = f"{self._root}[{place}]"
        try:
            task = self._task(entry)
        except PlanError as error:
            raise PlanError(f"{path}.{error.path}" if error.path else path, error.value, error.expected) from None
        first = self._places.setdefault(task.id, place)
        if first != place:
            raise PlanError(f"{path}.id", task.id, f"an id of its own: {self._root}[{first}] has it already")
        self.warnings += [f"{path}.{sentence}" for sentence in self._reader.warnings]
        self.tasks.append(task)

    def check_dependencies(self) -> None:
        """See that each dependency is a task of this list, and that none waits for itself.

        Raises:
            PlanError: naming it, or the circle.
        """
        for place, task in enumerate(self.tasks):
            for needed in task.depends_on:
                if needed not in self._places:
                    expected = "the id of a task in this list"
                    raise PlanError(f"{self._root}[{place}].dependencies", needed, expected)
        circle = find_circle({task.id: task for task in self.tasks if task.depends_on})
        if circle is not None:
            path = f"{self._root}[{self._places[circle[0]]}].dependencies"
            raise PlanError(path, drawn(circle), "no circle: each of these tasks waits for the next")

    def _task(self, entry: object) -> Task:
        if not isinstance(entry, dict):
            raise PlanError("", entry, "a task as an object")
        given, spelled = _canonical(entry)
        batch = {batch_name: given[name] for name, batch_name in _BATCH_FIELDS.items() if name in given}
        names = {batch_name: spelled.get(name, name) for name, batch_name in _BATCH_FIELDS.items()}
        task = _read(self._reader, batch, "id", names)
        return replace(
            task,
            agent=_agent(given, spelled, self._usual.order),
            prompt=self._prompt(given, task.id),
            kind=_text(given, "kind"),
            extra=_extra(entry, given, task.id),
        )

    def _prompt(self, given: Mapping[str, object], task_id: str) -> str:
        prompt, file = given.get("prompt"), given.get("prompt_file")
        if prompt is not None and file is not None:
            raise PlanError("prompt_file", file, "either prompt or prompt_file, not both")
        if prompt is not None:
            if not isinstance(prompt, str):
                raise PlanError("prompt", prompt, "text")
            _check_prompt(prompt, "prompt")
            return prompt
        if file is not None and (not isinstance(file, str) or not file):
            raise PlanError("prompt_file", file, "the name of a file")
        if file is None and "command" in given:
            return ""
        return self._from_file(file, task_id)

    def _from_file(self, file: str | None, task_id: str) -> str:
        expected = "a prompt, or the name of its file in prompt_file"
        if file is None and ("/" in task_id or task_id in {".", ".."}):  # such an id would lead out of the directory
            raise PlanError("prompt", None, expected)
        name = file or f"{PROMPTS_DIRECTORY}/{task_id}.md"
        try:
            text = self._read_prompt(name)
        except UnreadableFile as error:
            if file is not None:
                raise PlanError("prompt_file", file, f"a file that can be read ({error.path}: {error.why})") from None
            raise PlanError("prompt", None, f"{expected} ({error.path}: {error.why})") from None
        _check_prompt(text, "prompt" if file is None else "prompt_file")
        return text


def _id(base: str, *numbers: int | None) -> str:
    return "-".join((base, *(str(each) for each in numbers if each is not None)))


def _read(
    reader: BatchReader, batch: Mapping[str, object], id_field: str, names: Mapping[str, str] | None = None
) -> Task:
    """The batch's task; errors name the field as `names` has it."""
    try:
        return reader.read(dict(batch), 1)
    except PlanError as error:
        first, dot, rest = error.path.partition(".")
        stem, bracket, index = first.partition("[")
        name = id_field if stem == "batch_id" else (names or {}).get(stem, stem)
        expected = error.expected.replace("a batch_id", "an id").replace("batch_id", "id")
        raise PlanError(f"{name}{bracket}{index}{dot}{rest}", error.value, expected) from None


def _canonical(entry: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """The task's own fields by the words that we use, without those that are null; and how each was spelled."""
    for name, best in near_fields((str(name) for name in entry), FIELD_NAMES):
        raise PlanError(f"{name:.80}", entry.get(name), f"a field of a task; did you mean {best}?")
    given: dict[str, object] = {}
    spelled: dict[str, str] = {}
    for name, value in entry.items():
        if name not in FIELD_NAMES or value is None:
            continue
        word = _ALIASES.get(name, name)
        if word in given:
            raise PlanError(name, value, f"either {spelled[word]} or {name}, not both")
        given[word], spelled[word] = value, name
    return given, spelled


def _agent(given: Mapping[str, object], spelled: Mapping[str, str], usual: AgentOrder) -> AgentOrder:
    """Its agent as an object or a name, and over that the fields that stand beside it; a command's own else."""
    order = read_agent(given.get("agent"), usual)
    if order is None:
        order = AgentOrder(name=PLAIN_COMMAND) if "command" in given else usual
    beside = {name: given[name] for name in _ORDER_FIELDS if name in given}
    try:
        return order_of(beside, order)
    except PlanError as error:
        stem, bracket, index = error.path.partition("[")
        raise PlanError(f"{spelled.get(stem, stem)}{bracket}{index}", error.value, error.expected) from None


def _extra(entry: Mapping[str, object], given: Mapping[str, object], task_id: str) -> dict[str, object]:
    """What we do not know, as it was; and the task's name."""
    unknown = {str(name): value for name, value in entry.items() if name not in FIELD_NAMES}
    try:
        json.dumps(unknown)  # the journal keeps it; YAML has values that JSON has not
    except (TypeError, ValueError, RecursionError):
        raise PlanError("", Words(f"a field of task {task_id!r} that is no JSON"), "texts, numbers, lists") from None
    name = _text(given, "name")
    return {**unknown, "name": name} if name else unknown


def _text(given: Mapping[str, object], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > NAME_MAX_CHARACTERS or "\0" in value:
        raise PlanError(name, value, f"text of at most {NAME_MAX_CHARACTERS} characters without NUL")
    return value


def _check_prompt(prompt: str, path: str) -> None:
    if not prompt.strip():
        raise PlanError(path, prompt, "a prompt that is not empty")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise PlanError(path, Words(f"a text that is no UTF-8 at character {error.start}"), "UTF-8") from None


def _document(raw: bytes, source: str, is_yaml: bool | None) -> object:
    if is_yaml is None:
        is_yaml = not raw.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"["))
    if not is_yaml:
        return read_json(raw, source)
    try:
        document = load_yaml(raw)
    except NotYaml as error:
        raise PlanError(source, Words(error.got), error.expected) from None
    check_texts(document)
    return document


def _entries(document: object, source: str) -> tuple[str, Sequence[object]]:
    """Where the list stands, and what is in it."""
    root, entries = "", document
    if isinstance(document, dict):
        for name, best in near_fields((str(name) for name in document), _LIST_FIELDS):
            raise PlanError(f"{name:.80}", document.get(name), f"a field of a task list; did you mean {best}?")
        if "waves" in document and "tasks" not in document:
            raise PlanError(source, Words("a wave plan"), "a task list; `wavepool run` runs wave plans")
        root, entries = "tasks", document.get("tasks")
    if not isinstance(entries, list):
        raise PlanError(root or source, entries, "a list of tasks")
    if not entries:
        raise PlanError(root or source, Words("an empty list"), "at least one task")
    return root, entries


def _plan(tasks: Sequence[Task], source: str, root: str, warnings: Iterable[str]) -> Plan:
    """One wave with all of them."""
    _check_keys(tasks)
    return Plan(
        source=source,
        digest=_digest(tasks),
        waves=(Wave(number=1),),
        tasks=tuple(tasks),
        layout=(WaveSlice(position=0, first=0, end=len(tasks)),),
        root=root,
        flat=True,
        warnings=tuple(warnings),
    )


def _check_keys(tasks: Iterable[Task]) -> None:
    """Two ids of one key would share a directory: a digest of 64 bits that is not the only one."""
    keys: dict[str, str] = {}
    for task in tasks:
        if keys.setdefault(task_key(task.id), task.id) != task.id:
            raise InputError(f"the ids {keys[task.key]!r} and {task.id!r} lead to the same directory: change one")


def _digest(tasks: Iterable[Task]) -> str:
    """Of what the tasks are, with the texts of their prompts, however they were written."""
    found = hashlib.sha256()
    for task in tasks:
        found.update(json.dumps(asdict(task), sort_keys=True, default=str).encode())
    return found.hexdigest()
