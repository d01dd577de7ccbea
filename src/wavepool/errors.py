"""Everything Wavepool raises on purpose.

::

    WavepoolError                 exit code of `wavepool run`
    ├── InputError                2   what the user gave is wrong; nothing was started
    │   ├── PlanError                 a field of the wave plan
    │   ├── SizeError                 a memory size
    │   ├── SettingError              an option, a variable, or a line of wavepool.toml
    │   ├── UnreadableFile            a file that the user named
    │   ├── BadTask                   what no container of a pool can run
    │   └── NotNow                    what is asked of a run does not go with where it stands
    │       └── RunOver                   it is over
    ├── InfrastructureError       3   the machine or the daemon is at fault
    │   ├── DriverUnavailable         no daemon, no permission, or it went away
    │   ├── PrepareError              an image, a network or a secret cannot be had
    │   ├── NotStarted                this attempt did not start and never will
    │   ├── CannotPark                what this attempt needs cannot be started ahead: it is started cold
    │   ├── PoolDrained               the pool takes no tasks until somebody opens it again
    │   ├── NotClaimed                a parked container ran nothing, and never will
    │   ├── Unknown                   a call was cut off: it may or may not have had its effect
    │   │   └── MayHaveRun            a start was asked for, and nothing of it is left: asking again tells nothing
    │   ├── NoSuchAttempt             the handle leads nowhere
    │   ├── KeepError                 what a failed attempt left cannot be kept
    │   ├── WorkspaceError            a workspace cannot be made or removed
    │   ├── CheckError                a check came to no end that could be planned by
    │   ├── JournalError              the journal cannot be read or written
    │   └── RunLocked                 another process holds this run
    ├── UserInterrupt           130   Ctrl-C
    └── InvariantBroken           3   a bug of ours; please report it

Each message says what happened, why, and what to do next; ids are fields. For programs each has a `code`, which stays
as it is (docs/errors.md lists all): over HTTP, on the sockets, and with `--json` it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from wavepool.model import SidecarTrouble

ERRORS_AS_JSON = ("WAVEPOOL_ERRORS", "json")
"""A variable, and the value that has a command tell its error as JSON, whether it knows `--json` or not."""


def in_one_line(words: str) -> str:
    """A message and its advice, or any lines, as sentences of one line; the last has no full stop."""
    lines = (" ".join(line.split()).rstrip(".") for line in words.splitlines() if line.strip())
    return ". ".join(lines).replace(":. ", ": ").replace("?. ", "? ")


class WavepoolError(Exception):
    """The root. `str(error)` is a complete sentence for a person.

    Args:
        code: where its class has none that says as much.

    Attributes:
        advice: what to do next, one sentence or several lines; may be empty.
        code: what it is, for programs.
        exit_code: of the command that ends with it.
    """

    exit_code = 3
    code = "bug"
    about_fields: ClassVar[tuple[str, ...]] = ()
    """Fields of it that programs are told."""

    def __init__(self, message: str, *, advice: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.code = code or self.code
        self._about: Mapping[str, str] | None = None

    @property
    def about(self) -> Mapping[str, str]:
        """What it is about, by names as `run_id` or `path`; never a value that somebody gave."""
        if self._about is not None:
            return self._about
        found = ((name, getattr(self, name, None)) for name in self.about_fields)
        return {name: str(value) for name, value in found if value}

    def described(self) -> dict[str, Any]:
        """It as JSON: `code`, `message`, and where there is any `advice`, `about` and `notes`."""
        more = {"advice": self.advice, "about": dict(self.about), "notes": list(getattr(self, "__notes__", ()))}
        return {"code": self.code, "message": self.message, **{name: value for name, value in more.items() if value}}

    def __str__(self) -> str:
        return f"{self.message}\n{self.advice}" if self.advice else self.message


class InputError(WavepoolError):
    """What the user gave is wrong. Raised before anything has started."""

    exit_code = 2
    code = "bad_input"


class PlanError(InputError):
    """A field of the wave plan is wrong.

    Attributes:
        path: where, as in ``waves[0].batches[3].memory``.
        value: what stands there, shortened for a person; `Words` where it can only be described; None for nothing.
        expected: what would be right.
    """

    code = "bad_plan"
    about_fields = ("path",)

    def __init__(self, path: str, value: object, expected: str) -> None:
        super().__init__(f"{path}: got {_got(value)}, expected {expected}")
        self.path = path
        self.value = value
        self.expected = expected


class SizeError(InputError):
    """A memory size cannot be read, or is out of range.

    Attributes:
        value: the text that was given.
        expected: what would be right.
    """

    code = "bad_size"

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(f"got {_got(value)}, expected {expected}")
        self.value = value
        self.expected = expected


class SettingError(InputError):
    """An option, an environment variable or a line of wavepool.toml is wrong.

    Attributes:
        name: the option or variable as the user wrote it.
        value: what was given, shortened.
        expected: what would be right.
    """

    code = "bad_setting"
    about_fields = ("name",)

    def __init__(self, name: str, value: object, expected: str, *, advice: str = "") -> None:
        super().__init__(f"{name}: got {_got(value)}, expected {expected}", advice=advice)
        self.name = name
        self.value = value
        self.expected = expected


class UnreadableFile(InputError):
    """A file that the user named cannot be read.

    Attributes:
        what: the option that named it, or what it was to be.
        path: as it was named.
        why: in the words of the system.
    """

    code = "unreadable_file"
    about_fields = ("what", "path")

    def __init__(self, what: str, path: str, error: Exception, *, advice: str = "") -> None:
        why = getattr(error, "strerror", None) or str(error)
        super().__init__(f"{what}: cannot read {path}: {why}", advice=advice)
        self.what = what
        self.path = path
        self.why = why


class BadTask(InputError):
    """What is asked of a pool can be no task of it. Nothing of it has begun."""

    code = "bad_task"


class NotNow(InputError):
    """What is asked of a run would be right at another moment: it is over, or what is named has ended already.

    Attributes:
        run_id: the run.
    """

    code = "not_now"
    about_fields = ("run_id",)

    def __init__(self, run_id: str, message: str, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.run_id = run_id


class RunOver(NotNow):
    """The run is over: there is nothing left of it to be paused, unpaused, or cancelled."""


class InfrastructureError(WavepoolError):
    """The machine or the daemon is at fault, not the task."""

    code = "infrastructure"


class DriverUnavailable(InfrastructureError):
    """The driver cannot be reached. `advice` says how to get it back."""

    code = "driver_unavailable"


class PrepareError(InfrastructureError):
    """An image, a network or a secret that the run needs cannot be had.

    Attributes:
        what: the image reference, network name or secret name.
    """

    code = "cannot_prepare"
    about_fields = ("what",)

    def __init__(self, what: str, message: str, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.what = what


class NotStarted(InfrastructureError):
    """The attempt did not start and never will: the driver has made sure of it.

    Attributes:
        transient: True if the same start may succeed later (daemon busy, address pool empty).
        exit_code: 126 or 127 where the program itself could not be executed, else None.
        sidecars: those that did not become ready, where that is the cause.
    """

    code = "not_started"

    def __init__(
        self,
        message: str,
        *,
        transient: bool = False,
        exit_code: int | None = None,
        advice: str = "",
        sidecars: tuple[SidecarTrouble, ...] = (),
    ) -> None:
        super().__init__(message, advice=advice)
        self.transient = transient
        self.program_exit_code = exit_code
        self.sidecars = sidecars


class CannotPark(InfrastructureError):
    """What was asked for can never be parked (an image without a shell, a remote engine); it can be started cold."""

    code = "cannot_park"


class PoolDrained(InfrastructureError):
    """The pool of an agent type was drained: it takes no tasks until somebody opens it again, and nothing has begun."""

    code = "pool_drained"


class NotClaimed(InfrastructureError):
    """A parked container did not take its claim: it is certain that nothing ran in it, and that nothing will."""

    code = "not_claimed"


class Unknown(InfrastructureError):
    """A call was cut off by its deadline or by a lost connection: its effect is not known."""

    code = "unknown_effect"


class MayHaveRun(Unknown):
    """A start of this attempt was asked for once, and nothing of it exists any more. It is never started again."""

    code = "may_have_run"


class NoSuchAttempt(InfrastructureError):
    """The handle leads nowhere: nothing of that attempt exists any more."""

    code = "no_such_attempt"


class KeepError(InfrastructureError):
    """What an attempt left behind cannot be kept."""

    code = "cannot_keep"


class WorkspaceError(InfrastructureError):
    """The workspace of an attempt cannot be made, or removed. What was in it is still there."""

    code = "workspace_failed"


class CheckError(InfrastructureError):
    """A check came to no end from which anybody could plan: ended from outside, too much output, or none to be read.

    Attributes:
        last_words: the end of what it wrote; empty where it wrote nothing.
    """

    code = "check_failed"

    def __init__(self, message: str, *, advice: str = "", last_words: str = "") -> None:
        shown = f"{message}. Its last words:\n{last_words}" if last_words else message
        super().__init__(shown, advice=advice)
        self.last_words = last_words


class JournalError(InfrastructureError):
    """The journal cannot be read or written. Nothing was overwritten.

    Attributes:
        path: the journal's file.
    """

    code = "journal_unreadable"
    about_fields = ("path",)

    def __init__(self, path: str, message: str, *, advice: str = "") -> None:
        super().__init__(f"{path}: {message}", advice=advice)
        self.path = path


class RunLocked(InfrastructureError):
    """Another live process holds this run's lock.

    Attributes:
        run_id: the run.
        holder: process id and host of who holds it, for people; empty if unknown.
    """

    code = "run_locked"
    about_fields = ("run_id",)

    def __init__(self, run_id: str, holder: str = "") -> None:
        pid, _, host = holder.partition(" ")
        by = f"process {pid} on {host}" if pid and host else "another live process"
        super().__init__(
            f"run {run_id} is held by {by}",
            advice=f"`wavepool attach {run_id}` shows it, `wavepool cancel {run_id}` ends it.",
        )
        self.run_id = run_id
        self.holder = holder


class UserInterrupt(WavepoolError):
    """The user ended it, by Ctrl-C or SIGTERM, and it has no result."""

    exit_code = 130
    """What a shell says of a command that Ctrl-C ended (128 + 2)."""
    code = "interrupted"


class InvariantBroken(WavepoolError):
    """Something happened that our own design rules out. It is a bug; the message says what was seen."""


def error_described(described: Mapping[str, Any], exit_code: int) -> WavepoolError:
    """What another process ended with, by its `described()`: InputError by its exit code, else InfrastructureError."""
    kind = InputError if exit_code == InputError.exit_code else InfrastructureError
    found = kind(
        str(described.get("message", "")), advice=str(described.get("advice", "")), code=str(described.get("code", ""))
    )
    found.exit_code = exit_code
    found._about = {str(name): str(value) for name, value in dict(described.get("about", {})).items()}
    for note in described.get("notes", ()):
        found.add_note(str(note))
    return found


def first_of_ours(error: BaseException) -> BaseException:
    """The first WavepoolError in nested exception groups, else the first error of all, with the notes of all groups."""
    leaves: list[BaseException] = []
    notes: list[str] = []
    _unfold(error, leaves, notes)
    found = next((leaf for leaf in leaves if isinstance(leaf, WavepoolError)), leaves[0])
    for note in notes:
        if note not in getattr(found, "__notes__", ()):
            found.add_note(note)
    return found


def _unfold(error: BaseException, leaves: list[BaseException], notes: list[str]) -> None:
    notes += getattr(error, "__notes__", ())
    if not isinstance(error, BaseExceptionGroup):
        leaves.append(error)
        return
    for inner in error.exceptions:
        _unfold(inner, leaves, notes)


class Words(str):
    """Words of ours that stand for a value, as `an empty file`: shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _got(value: object) -> str:
    return "nothing" if value is None else shorten(value)


def shorten(value: object, limit: int = 80) -> str:
    """`repr(value)`, cut to `limit` characters with an ellipsis; never raises."""
    try:
        text = repr(value)
    except Exception:  # a foreign __repr__ must not hide the error we report
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"
