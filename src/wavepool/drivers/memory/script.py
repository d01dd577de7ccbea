"""What a simulated task does, said in its command line.

The command is ``("sim", WORD, ...)``, or a shell call of the same: ``("sh", "-c", "sim WORD ...")``. Words:

=====================  ================================================================================
``duration=1.5``       runs for so many seconds (default 0)
``exit=3``             ends with this code (default 0)
``oom``                ends by the kernel's OOM killer
``child_oom``          a child of it is killed for memory; it goes on and ends as it would
``memory=64m``         what it takes (default 1 MiB); more than its limit means ``oom``
``kill_self``          ends by a SIGKILL of its own
``ignore_term``        SIGTERM does nothing
``on_term=0``          what it ends with after SIGTERM (default 143)
``term_delay=0.5``     how long after SIGTERM it ends
``stdout=a%0Ab``       writes these percent-encoded bytes at its start; so does ``stderr=``; both may repeat
``show_prompt``        writes the prompt
``show_env=NAME``      writes the value of a variable
``show_secret=NAME``   writes the bytes of a secret
``show_directory``     writes where it runs
``not_executable``     ends with 126, as a file without the execute bit
``unclean``            leaves what a reused container cannot get rid of
=====================  ================================================================================

Anything else is a program that does not exist: it ends with 127 and says on stderr what was not understood.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from wavepool.errors import WavepoolError
from wavepool.units import MIB, parse_size

DEFAULT_MEMORY_BYTES = MIB
SIGTERM_CODE = 143
MISSING_CODE = 127
NOT_EXECUTABLE_CODE = 126

_SHELLS = frozenset({"sh", "/bin/sh", "bash", "/bin/bash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed command line; see the module for what each word means.

    `writes` are pairs of a source (``stdout``, ``stderr``, ``prompt``, ``env``, ``secret``, ``directory``) and its
    bytes or name.
    """

    duration_s: float = 0.0
    code: int = 0
    oom: bool = False
    child_oom: bool = False
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    kills_itself: bool = False
    ignores_term: bool = False
    term_code: int = SIGTERM_CODE
    term_delay_s: float = 0.0
    writes: tuple[tuple[str, bytes], ...] = ()
    unclean: bool = False

    @staticmethod
    def parse(argv: tuple[str, ...]) -> Script:
        """The script of a command line. Never raises: what cannot be read is a missing program."""
        words = _words(argv)
        if not words or words[0] != "sim":
            return _failing(MISSING_CODE, f"{argv[0] if argv else ''}: not found")
        script = Script()
        for word in words[1:]:
            name, _, value = word.partition("=")
            try:
                script = _WORDS[name](script, value)
            except (KeyError, ValueError, WavepoolError):
                return _failing(MISSING_CODE, f"sim: {word!r} is not understood")
        return script


def in_turn(commands: Sequence[tuple[str, ...]]) -> Script:
    """One script that does what several commands do one after the other, up to the first that fails."""
    done: list[Script] = []
    for command in commands:
        done.append(Script.parse(command))
        if done[-1].code or done[-1].oom or done[-1].kills_itself:
            break
    last = done[-1]
    writes = tuple(write for script in done for write in script.writes)
    if last.code:
        said = f"wavepool: command {len(done)} of {len(commands)} failed with exit code {last.code}\n"
        writes = (*writes, ("stderr", said.encode()))
    return replace(
        last,
        duration_s=sum(script.duration_s for script in done),
        memory_bytes=max(script.memory_bytes for script in done),
        child_oom=any(script.child_oom for script in done),
        writes=writes,
    )


def _words(argv: tuple[str, ...]) -> list[str]:
    if len(argv) == 3 and argv[0] in _SHELLS and argv[1] == "-c":
        try:
            return shlex.split(argv[2])
        except ValueError:
            return []
    return list(argv)


def _failing(code: int, message: str) -> Script:
    return Script(code=code, writes=(("stderr", f"{message}\n".encode("utf-8", "surrogateescape")),))


def _write(source: str) -> Callable[[Script, str], Script]:
    def add(script: Script, value: str) -> Script:
        written = unquote_to_bytes(value) if source in ("stdout", "stderr") else value.encode()
        return replace(script, writes=(*script.writes, (source, written)))

    return add


_WORDS: dict[str, Callable[[Script, str], Script]] = {
    "duration": lambda script, value: replace(script, duration_s=float(value)),
    "exit": lambda script, value: replace(script, code=int(value)),
    "oom": lambda script, _: replace(script, oom=True),
    "child_oom": lambda script, _: replace(script, child_oom=True),
    "memory": lambda script, value: replace(script, memory_bytes=parse_size(value)),
    "kill_self": lambda script, _: replace(script, kills_itself=True),
    "ignore_term": lambda script, _: replace(script, ignores_term=True),
    "on_term": lambda script, value: replace(script, term_code=int(value)),
    "term_delay": lambda script, value: replace(script, term_delay_s=float(value)),
    "not_executable": lambda script, _: _failing(NOT_EXECUTABLE_CODE, "sim: permission denied"),
    "unclean": lambda script, _: replace(script, unclean=True),
    "stdout": _write("stdout"),
    "stderr": _write("stderr"),
    "show_prompt": _write("prompt"),
    "show_env": _write("env"),
    "show_secret": _write("secret"),
    "show_directory": _write("directory"),
}
