"""Git as the host runs it: on directories that agents wrote to, so that nothing in them is ever executed.

::

    git = Git(git_dir=Path("repo/.git"), work_tree=Path("repo"))
    git.line("rev-parse", "HEAD")

The repository's own settings are the user's and are read; those of the machine and of the user's home are not. What
could start a program is switched off for every call: hooks, fsmonitor, external diffs, editors, pagers, prompts, ssh,
gc, credential helpers, and all protocols. Filter drivers that the repository defines are emptied by `without_filters`,
as a .gitattributes file of an agent could name them. All of it blocks; call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from wavepool.errors import WorkspaceError

QUICK_S = 60.0
"""Bound of a call that reads or writes a few objects."""
LONG_S = 900.0
"""Bound of a call that may read or write a whole tree."""
OUTPUT_MAX_BYTES = 256 * 1024 * 1024
"""The most that one call may answer; a list of a million paths is less."""
WORDS_MAX_BYTES = 256 * 1024
"""Of git's own words so many are kept, the last ones; an error shows the last `WORDS_SHOWN` characters of them."""
WORDS_SHOWN = 1000

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.alternateRefsCommand=true",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.askPass=false",
    "core.editor=true",
    "core.pager=cat",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.quotePath=false",
    "core.safecrlf=false",
    "commit.gpgSign=false",
    "credential.helper=",
    "diff.external=",
    "diff.ignoreSubmodules=all",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "safe.directory=*",
)

_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ASKPASS": "false",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_EDITOR": "true",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_SSH_COMMAND": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "SSH_ASKPASS": "false",
    "XDG_CONFIG_HOME": "/nonexistent",
}


class GitError(WorkspaceError):
    """Git refused, in its own words.

    Attributes:
        git_exit_code: None where it was ended by us.
        words: what it said.
    """

    def __init__(self, message: str, *, git_exit_code: int | None = None, words: str = "", advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.git_exit_code = git_exit_code
        self.words = words


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one call came to. `out` is stdout, `words` the end of stderr."""

    exit_code: int
    out: bytes
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """Git on one git directory and one work tree, both always named; neither is ever looked for.

    Attributes:
        git_dir: of a repository, or of one of its worktrees; never one that an agent can write to.
        work_tree: None for calls that need none.
        settings: further ones, as ``name=value``, for every call.
        env: further variables, for every call.
    """

    git_dir: Path
    work_tree: Path | None = None
    settings: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def with_env(self, **variables: str) -> Git:
        """The same with more variables."""
        return replace(self, env={**self.env, **variables})

    def on(self, work_tree: Path, *, index: Path) -> Git:
        """The same repository with another work tree, and an index of its own for it."""
        return replace(self, work_tree=work_tree, env={**self.env, "GIT_INDEX_FILE": str(index)})

    def without_filters(self) -> Git:
        """The same, with every filter driver emptied that the repository's settings define."""
        names = self.call("config", "--name-only", "-z", "--get-regexp", r"^filter\.", codes=(0, 1)).out.split(b"\0")
        drivers = sorted({os.fsdecode(name.rpartition(b".")[0]) for name in names if name})
        emptied = [
            f"{driver}.{key}" for driver in drivers for key in ("clean=", "smudge=", "process=", "required=false")
        ]
        return replace(self, settings=(*self.settings, *emptied))

    def line(self, *arguments: str, timeout_s: float = QUICK_S, stdin: bytes | IO[bytes] = b"") -> str:
        """The answer without its last newline. Raises GitError."""
        return os.fsdecode(self.call(*arguments, timeout_s=timeout_s, stdin=stdin).out).removesuffix("\n")

    def paths(self, *arguments: str, timeout_s: float = LONG_S) -> list[str]:
        """The answer of a call with ``-z``, in pieces; names that are no UTF-8 have surrogates. Raises GitError."""
        return [os.fsdecode(each) for each in self.call(*arguments, timeout_s=timeout_s).out.split(b"\0") if each]

    def succeeds(self, *arguments: str) -> bool:
        """True where it exits with 0. Raises GitError where it does not end."""
        return self.call(*arguments, codes=None).exit_code == 0

    def call(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] = b"",
        codes: tuple[int, ...] | None = (0,),
        timeout_s: float = QUICK_S,
        most_bytes: int = OUTPUT_MAX_BYTES,
        to: IO[bytes] | None = None,
    ) -> Answer:
        """Run it to its end.

        Args:
            stdin: its input: bytes, or an open file that is read from where it stands.
            codes: exit codes that are no error; None for all.
            most_bytes: of output; more is an error.
            to: a file that gets the output, which is then empty in the answer.

        Raises:
            GitError: another exit code, too much output, too long, or there is no git.
        """
        with tempfile.TemporaryFile() as errors, _input(stdin) as source:
            process = self._start(arguments, source, errors)
            try:
                out = _read(process, to, most_bytes, time.monotonic() + timeout_s)
                exit_code = process.wait()
            except _Beyond as beyond:
                raise GitError(f"`{_shown(arguments)}` {beyond}, and was ended", words=_end_of(errors)) from None
            finally:
                _end(process)
            answer = Answer(exit_code=exit_code, out=out, words=_end_of(errors))
        if codes is not None and exit_code not in codes:
            raise GitError(
                f"`{_shown(arguments)}` failed: {answer.words[-WORDS_SHOWN:] or f'exit code {exit_code}'}",
                git_exit_code=exit_code,
                words=answer.words,
            )
        return answer

    def _start(self, arguments: Iterable[str], source: IO[bytes] | int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        tree = () if self.work_tree is None else (f"--work-tree={self.work_tree}",)
        settings = [part for each in (*_SETTINGS, *self.settings) for part in ("-c", each)]
        argv = ["git", f"--git-dir={self.git_dir}", *tree, *settings, "--no-pager", *arguments]
        try:
            return subprocess.Popen(
                argv,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=self.work_tree or self.git_dir,
                env=git_environment(self.env),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            where = self.work_tree or self.git_dir
            if not where.is_dir():
                raise GitError(f"{where} is not there any more") from error
            raise GitError("there is no git here", advice="Install git 2.38 or later.") from error
        except OSError as error:
            raise GitError(f"git cannot be started: {error.strerror or error}") from error


def git_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """All variables of a call: none of ours but the path, so that no GIT_* of the caller's reaches it."""
    return {"PATH": os.environ.get("PATH", os.defpath), **_ENVIRONMENT, **(more or {})}


class _Beyond(Exception):
    """A bound was passed; says which."""


@contextlib.contextmanager
def _input(stdin: bytes | IO[bytes]) -> Iterator[IO[bytes] | int]:
    if not isinstance(stdin, bytes):
        yield stdin
    elif not stdin:
        yield subprocess.DEVNULL
    else:
        with tempfile.TemporaryFile() as file:
            file.write(stdin)
            file.seek(0)
            yield file


def _read(process: subprocess.Popen[bytes], to: IO[bytes] | None, most_bytes: int, deadline_s: float) -> bytes:
    """Its output until it closes it and ends, or a bound is passed."""
    assert process.stdout is not None
    kept, count = [], 0
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
            raise _Beyond("took too long")
        data = os.read(process.stdout.fileno(), 1 << 20)
        if not data:
            break
        count += len(data)
        if count > most_bytes:
            raise _Beyond(f"had more to say than {most_bytes} bytes")
        if to is None:
            kept.append(data)
        else:
            to.write(data)
    try:
        process.wait(timeout=max(0.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _Beyond("took too long") from None
    return b"".join(kept)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it started; git has no children of ours to spare."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _end_of(errors: IO[bytes]) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - WORDS_MAX_BYTES))
    return errors.read().decode("utf-8", errors="replace").strip()


def _shown(arguments: Iterable[str]) -> str:
    text = " ".join(("git", *arguments))
    return text if len(text) <= 160 else text[:159] + "…"


def look_up(directory: Path, *questions: str) -> list[str] | None:
    """What ``git rev-parse`` answers in a directory of the user's, one line for each question; None for no repository.

    The only call for which a repository is looked for. It reads settings, and starts nothing.

    Raises:
        GitError: there is no git, or the directory is not there.
    """
    try:
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "rev-parse", "--path-format=absolute", *questions],
            cwd=directory,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=QUICK_S,
            check=False,
        )
    except FileNotFoundError as error:
        if not directory.is_dir():
            raise GitError(f"{directory} is no directory") from error
        raise GitError("there is no git here", advice="Install git 2.38 or later.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(f"git cannot be asked in {directory}: {error}") from error
    return os.fsdecode(done.stdout).splitlines() if done.returncode == 0 else None


def setting_of_user(name: str, *, kind: str = "") -> str:
    """A setting of the user who runs us, out of the files in the home directory; empty where there is none."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["git", "config", "--global", "--includes", *([f"--type={kind}"] if kind else []), "--get", name],
            cwd="/",
            env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_DIR": "/nonexistent", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=QUICK_S,
            check=False,
        )
        return os.fsdecode(done.stdout).strip()
    return ""
