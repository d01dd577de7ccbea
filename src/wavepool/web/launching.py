"""Runs that the server starts, each in a process of its own that outlives it; and those of an earlier server that died.

Secrets whose values come with a request reach that process as variables, under names that stand for nothing else; they
are in no argv and no file, so that who goes on with the run later must give them again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from wavepool.engine.history.runs import RunHistory
from wavepool.engine.recover.runs import RunState, look_at
from wavepool.errors import InputError, NotNow, RunLocked, SettingError, WavepoolError, in_one_line
from wavepool.inputs import parse_new_run_id
from wavepool.inputs.environment import string_problem
from wavepool.inputs.secrets import secret_name_problem
from wavepool.monitoring.verbs import start_detached
from wavepool.statedir import RunDir, ServedRun, StateDir, new_run_id, served_now

STARTING_MAX = 4
"""Processes that come into being at once; further ones wait."""

RESUMES = 3
"""How often servers go on with a run that dies again and again: then something kills it, and a person should look."""

PLACE = "\0"
"""Among words: where one of the files is. No argument can be so."""

_VARIABLE = "GIVEN_SECRET_"
_WHOLE_TEXT = "text without half of a surrogate pair"

OptionValue = str | int | float | bool | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """What `wavepool run`, `task` or `tasks` is to do.

    Attributes:
        verb: which of them.
        words: its arguments; ``-`` is what it is `given`.
        given: what it reads on stdin, as a plan in JSON.
        files: texts that it reads as files, from memory: their places stand in words as `PLACE`, in their order.
        further: what stands behind ``--``.
        options: by their names, as in ``{"keep_going": True, "mount": ["a:/b"]}``; False is as good as not there.
        secrets: name -> value.
        directory: where the process works, and relative paths begin; where the server does unless told.
    """

    verb: str = "run"
    words: Sequence[str] = ("-",)
    given: bytes = b""
    files: Sequence[bytes] = ()
    further: Sequence[str] = ()
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Path | None = None


class Launches:
    """Starts runs in one state directory, and remembers which. For one event loop."""

    def __init__(self, state_dir: StateDir) -> None:
        self._state = state_dir
        self._served = state_dir.served_runs()
        self._starting = anyio.CapacityLimiter(STARTING_MAX)

    async def start(self, order: LaunchOrder) -> dict[str, Any]:
        """Start a run; returns `run_id`, `pid` and `log` as soon as its process holds it.

        Raises:
            InputError: plan, options or secrets are wrong; nothing was started.
            NotNow: a run of that id is over.
            RunLocked: the run of that id is held by a process.
            InfrastructureError: it cannot be started here.
        """
        run_id = self._id_of(order)
        await anyio.to_thread.run_sync(_check_goes_on, self._state.run(run_id))
        options = options_of({**order.options, "run_id": run_id})
        with _in_memory(order.files) as places:
            arguments = [*_placed(order.words, places), *self._here(), *options, *_secret_options(order.secrets)]
            if order.further:
                arguments += ["--", *order.further]
            _check_words(arguments)
            return await self._begin(
                order.verb,
                run_id,
                arguments,
                order.secrets,
                given=order.given,
                kept=places,
                directory=order.directory,
            )

    async def resume(self, run_id: str, secrets: Mapping[str, str]) -> dict[str, Any]:
        """Go on with a run that nobody works on, with these secrets; as `start`."""
        return await self._go_on("resume", run_id, [], secrets)

    async def retry(self, run_id: str, tasks: Sequence[str] | None, secrets: Mapping[str, str]) -> dict[str, Any]:
        """Try tasks of such a run again by their ids (None: all that failed), with these secrets; as `start`."""
        return await self._go_on("retry", run_id, ["--failed"] if tasks is None else ["--", *tasks], secrets)

    async def note(self, run_id: str) -> None:
        """Somebody asked this server to go on with a run, and it did: it is one of its own from now on."""
        known = await self._record_of(run_id)
        record = served_now(run_id, Path.cwd()) if known is None else replace(known, resumed=0)
        await anyio.to_thread.run_sync(self._served.keep, record)

    async def resume_dead(
        self, notice: Callable[[str], None], *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
    ) -> None:
        """Go on with each run that an earlier server started and that died; forget those that are over.

        It has started once it is known which these are: what is started after that is none of them.

        Args:
            notice: told a sentence for each that was gone on with, or could not be. Raises nothing.
        """
        records: list[ServedRun] = []
        try:
            records = await anyio.to_thread.run_sync(self._served.all)
        except WavepoolError as error:
            notice(f"runs of an earlier server are not looked for: {in_one_line(str(error))}")
        task_status.started()
        for record in records:
            try:
                said = await self._revive(record)
            except WavepoolError as error:
                said = f"and cannot be gone on with: {in_one_line(str(error))}"
            if said:
                notice(f"run {record.run_id}, which a server started, died, {said}")

    # -- inside --

    async def _revive(self, record: ServedRun) -> str:
        """What was done about a run that died; empty for any other."""
        look = await anyio.to_thread.run_sync(look_at, self._state, record.run_id)
        if look.state is RunState.LIVE:
            return ""
        if look.state is not RunState.UNFINISHED:
            self._served.forget(record.run_id)
            return ""
        resume = " ".join(["wavepool resume", record.run_id, *(f"--secret {name}" for name in record.secrets)])
        if record.secrets:
            return f"and its secrets came with the request: `{resume}` goes on with it"
        if record.resumed >= RESUMES:
            return f"{record.resumed + 1} times by now: `{resume}` goes on with it"
        await anyio.to_thread.run_sync(self._served.keep, replace(record, resumed=record.resumed + 1))
        arguments = [record.run_id, *self._here()]
        started = await start_detached("resume", arguments, directory=_if_there(record))
        return f"and process {started['pid']} goes on with it"

    async def _go_on(self, verb: str, run_id: str, more: Sequence[str], secrets: Mapping[str, str]) -> dict[str, Any]:
        arguments = [*self._here(), *_secret_options(secrets), *more[:1], run_id, *more[1:]]
        record = await self._record_of(run_id)
        directory = None if record is None else _if_there(record)
        return await self._begin(verb, run_id, arguments, secrets, directory=directory)

    async def _begin(
        self,
        verb: str,
        run_id: str,
        arguments: Sequence[str],
        secrets: Mapping[str, str],
        *,
        given: bytes = b"",
        kept: Sequence[int] = (),
        directory: Path | None = None,
    ) -> dict[str, Any]:
        _check_secrets(secrets)
        files = self._state.run(run_id)
        if await anyio.to_thread.run_sync(files.is_live):
            raise RunLocked(run_id, files.holder())
        before = await self._record_of(run_id)
        record = served_now(run_id, directory or Path.cwd(), tuple(secrets))
        await anyio.to_thread.run_sync(self._served.keep, record)
        env = {**os.environ, **{f"{_VARIABLE}{name}": value for name, value in secrets.items()}}
        try:
            async with self._starting:
                return await start_detached(verb, arguments, given=given, env=env, kept=kept, directory=directory)
        except WavepoolError:
            if before is None:
                self._served.forget(run_id)
            else:
                await anyio.to_thread.run_sync(self._served.keep, before)
            if await anyio.to_thread.run_sync(files.is_live):  # somebody else was faster
                raise RunLocked(run_id, files.holder()) from None
            raise

    def _id_of(self, order: LaunchOrder) -> str:
        given = order.options.get("run_id")
        return new_run_id(datetime.now(UTC)) if given is None else parse_new_run_id(str(given), option="run_id")

    async def _record_of(self, run_id: str) -> ServedRun | None:
        records = await anyio.to_thread.run_sync(self._served.all)
        return next((each for each in records if each.run_id == run_id), None)

    def _here(self) -> list[str]:
        return ["--state-dir", str(self._state.path)]


@contextmanager
def _in_memory(texts: Sequence[bytes]) -> Iterator[list[int]]:
    """A file in memory for each, which other programs of ours can open by its descriptor; closed at the end."""
    with ExitStack() as stack:
        descriptors = []
        for text in texts:
            file = stack.enter_context(os.fdopen(os.memfd_create("given", os.MFD_CLOEXEC), "wb"))
            file.write(text)
            file.flush()
            descriptors.append(file.fileno())
        yield descriptors


def _placed(words: Sequence[str], descriptors: Sequence[int]) -> list[str]:
    places = iter(descriptors)
    return [f"/dev/fd/{next(places)}" if word == PLACE else word for word in words]


def _check_words(words: Sequence[str]) -> None:
    """Raises InputError: they cannot be arguments."""
    for word in words:
        if not _encodes(word) or (problem := string_problem(word)) is not None:
            raise InputError(f"what is to be an argument must be {problem if _encodes(word) else _WHOLE_TEXT}")


def _check_goes_on(files: RunDir) -> None:
    """See that a run of this id can begin, or go on. Blocks."""
    history = RunHistory(files)
    if not history.has_journal() or not history.standing().is_over:
        return
    raise NotNow(
        files.id,
        f"there is a run {files.id} already, and it is over",
        advice="Choose another run_id, or try tasks of it again by retry.",
    )


def _if_there(record: ServedRun) -> Path | None:
    directory = Path(record.directory)
    return directory if directory.is_dir() else None


def options_of(options: Mapping[str, OptionValue]) -> list[str]:
    """Their spelling on the command line; each word is one whole option, whatever its value begins with.

    Raises:
        InputError: a value cannot be an argument.
    """
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [option] if value else []
            continue
        values = [value] if isinstance(value, str | int | float) else value
        words += [_word(option, str(each)) for each in values]
    return words


def _word(option: str, value: str) -> str:
    word = f"{option}={value}"
    problem = None if _encodes(word) else _WHOLE_TEXT
    problem = problem or string_problem(word)
    if problem is not None:
        raise SettingError(option, value, problem)
    return word


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _secret_options(secrets: Mapping[str, str]) -> list[str]:
    return [f"--secret={name}=env:{_VARIABLE}{name}" for name in secrets]


def _check_secrets(secrets: Mapping[str, str]) -> None:
    """Raises SettingError; it never shows a value."""
    for name, value in secrets.items():
        problem = secret_name_problem(name)
        if problem is not None:
            raise SettingError("secrets", name, problem)
        found = string_problem(f"{_VARIABLE}{name}={value}") if _encodes(value) else "text that is UTF-8"
        if found is not None or not value:
            raise SettingError(f"secrets.{name}", "…", found or "a value that is not empty")
