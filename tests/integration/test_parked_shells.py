"""What parked shells are told, read by real ones: any argument, variable and secret comes through as it was."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavepool.drivers.docker.parking.script import SLOT_TARGET, is_settable, take_over
from wavepool.errors import InputError

SHELLS = {"dash": ("dash",), "busybox": ("busybox", "sh"), "bash": ("bash", "--posix")}
SHOWS_ITSELF = ("/bin/dash", "-c", "/bin/cat /proc/$$/cmdline /proc/$$/environ; :", "-")
"""A program that writes its arguments and its variables, each with a NUL behind it."""
ANSWER_S = 60
NOT_BASHS = {"SHLVL", "_"}
"""bash makes these itself for whatever it becomes."""

shells = pytest.mark.parametrize(
    "shell",
    [pytest.param(each, marks=pytest.mark.skipif(not shutil.which(each), reason=f"no {each}")) for each in SHELLS],
)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
surrogate_bytes = st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
hostile = st.sampled_from(
    ["'", "''\\''", "-x", "--", "\n", "a\n}\n", "$(id)", "`id`", "\\", '"', "* ?", "\x81\x82", "!", "#"]
)
values = st.one_of(texts, surrogate_bytes, hostile, st.lists(hostile, max_size=4).map("".join))
known = [
    "CDPATH",
    "ENV",
    "FPATH",
    "HOME",
    "HOSTNAME",
    "LANG",
    "LC_ALL",
    "LD_DEBUG",
    "MAIL",
    "MAILPATH",
    "OLDPWD",
    "PATH",
    "PS1",
    "PS4",
    "PWD",
    "TERM",
    "TMOUT",
    "TZ",
    "a",
    "_a",
]
names = st.one_of(
    st.sampled_from(known), st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(is_settable)
)
modest = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Slot:
    """A parked shell of this host, with a mark and secrets of its own."""

    def __init__(self, root: Path, shell: str) -> None:
        self._argv = SHELLS[shell]
        self._root = root
        self.mark = root / "mark" / "started"
        self.secrets = root / "secrets"

    def clear(self) -> None:
        for directory in (self.mark.parent, self.secrets):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()

    def tell(self, script: bytes, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        here = script.replace(SLOT_TARGET.encode(), os.fsencode(self.mark.parent))
        here = here.replace(b"/run/secrets", os.fsencode(self.secrets))
        return subprocess.run(
            self._argv,
            input=here,
            env={"PATH": "/usr/bin:/bin", **(env or {})},
            cwd=self._root,
            capture_output=True,
            timeout=ANSWER_S,
            check=False,
            umask=0o022,
        )


@pytest.fixture
def slot(tmp_path: Path, shell: str) -> Slot:
    return Slot(tmp_path, shell)


def told(
    command: Sequence[str],
    variables: Mapping[str, str | bytes | None] | None = None,
    secrets: Mapping[str, bytes] | None = None,
    directory: str = "",
) -> bytes:
    return take_over(
        mark="task 'x'#1", command=command, variables=variables or {}, secrets=secrets or {}, directory=directory
    )


@shells
@modest
@given(arguments=st.lists(values, max_size=5), variables=st.dictionaries(names, values, max_size=5), data=st.data())
def test_any_argument_and_variable_comes_through(
    slot: Slot, shell: str, arguments: list[str], variables: dict[str, str], data: st.DataObject
) -> None:
    slot.clear()
    gone = data.draw(st.sets(st.sampled_from(["GONE", "TOO"]))) - set(variables)
    before = {"GONE": "1", "TOO": "2", "STAYS": "it does\n", "PWD": "/nowhere", "OLDPWD": "/none", "SHLVL": "4"}
    done = slot.tell(told([*SHOWS_ITSELF, *arguments], {**variables, **dict.fromkeys(gone)}), before)
    expected = {"PATH": "/usr/bin:/bin", **before, **variables}
    for name in ("PWD", "OLDPWD", "SHLVL", *gone):
        if name not in variables:
            del expected[name]
    shown = done.stdout.split(b"\0")[:-1]
    argv, environ = shown[: 4 + len(arguments)], shown[4 + len(arguments) :]
    assert argv == [os.fsencode(word) for word in (*SHOWS_ITSELF, *arguments)], done.stderr
    ignored = NOT_BASHS if shell == "bash" else set()
    seen = dict(each.split(b"=", 1) for each in environ)
    assert {name: value for name, value in seen.items() if name.decode() not in ignored} == {
        name.encode(): os.fsencode(value) for name, value in expected.items() if name not in ignored
    }
    assert slot.mark.read_text() == "task 'x'#1"


@shells
@modest
@given(value=st.one_of(st.binary(max_size=200), st.sampled_from([b"", b"-n", b"%s", b"\\0", bytes(range(256)) * 800])))
def test_any_secret_is_written_for_its_user_alone(slot: Slot, value: bytes) -> None:
    slot.clear()
    done = slot.tell(told(["/bin/sh", "-c", "umask"], secrets={"a.key": value, "b": b"x"}))
    assert done.stdout == b"0022\n", "a file that the task makes has the usual mode"
    assert (slot.secrets / "a.key").read_bytes() == value
    assert (slot.secrets / "b").read_bytes() == b"x"
    assert stat.S_IMODE((slot.secrets / "a.key").stat().st_mode) == 0o400


@shells
@modest
@given(share=st.floats(0, 1, exclude_max=True))
def test_half_of_a_command_does_nothing(slot: Slot, share: float) -> None:
    slot.clear()
    script = told(["touch", "ran"], {"A": "a\n}\nb"}, {"key": b"secret"})
    done = slot.tell(script[: round((len(script) - 2) * share)])
    assert not slot.mark.exists()
    assert not list(slot.secrets.iterdir())
    assert not (slot.mark.parent.parent / "ran").exists()
    assert done.stdout == b""


@shells
def test_the_end_of_stdin_ends_it_without_a_mark(slot: Slot) -> None:
    slot.clear()
    assert slot.tell(b"").returncode == 0
    assert not slot.mark.exists()


@shells
def test_a_second_command_cannot_run_in_a_marked_slot(slot: Slot) -> None:
    slot.clear()
    assert slot.tell(told(["echo", "one"])).stdout == b"one\n"
    second = slot.tell(told(["echo", "two"]))
    assert (second.returncode, second.stdout) == (125, b"")


@shells
def test_what_cannot_be_done_first_leaves_no_mark(slot: Slot) -> None:
    slot.clear()
    slot.secrets.rmdir()
    done = slot.tell(told(["echo", "ran"], secrets={"key": b"x"}))
    assert (done.returncode, done.stdout) == (125, b"")
    assert not slot.mark.exists()


@shells
def test_a_program_that_is_not_there_is_127_and_a_directory_that_is_not_there_126(slot: Slot) -> None:
    slot.clear()
    assert slot.tell(told(["/no/such/program"])).returncode == 127
    slot.clear()
    assert slot.tell(told(["/bin/true"], directory="/no such 'directory'")).returncode == 126
    assert slot.mark.exists(), "that is the task's own failure"
    slot.clear()
    assert slot.tell(told(["/bin/pwd"], directory="/usr/../usr/bin")).stdout == b"/usr/bin\n"


@shells
def test_the_task_reads_nothing_and_holds_nothing(slot: Slot) -> None:
    slot.clear()
    script = told(
        ["/bin/sh", "-c", "cat; ls -l /proc/self/fd; sed -n '/^Sig[BI]/p' /proc/self/status"], secrets={"s": b"x"}
    )
    lines = slot.tell(script + b"echo not for the task\n").stdout.decode().splitlines()
    assert [line.split()[8] for line in lines if "->" in line][:3] == ["0", "1", "2"]
    assert [line.split()[-1] for line in lines if "->" in line and line.split()[8] == "0"] == ["/dev/null"]
    assert len([line for line in lines if "->" in line]) == 4, "its three streams, and the directory that ls reads"
    assert "SigBlk:\t0000000000000000" in lines
    assert "not for the task" not in "".join(lines)


@pytest.mark.parametrize(
    ("command", "variables", "secrets", "directory"),
    [
        ([], {}, {}, ""),
        ([""], {}, {}, ""),
        (["-x"], {}, {}, ""),
        (["a\0b"], {}, {}, ""),
        (["a", "\ud800"], {}, {}, ""),
        (["a"], {"a b": ""}, {}, ""),
        (["a"], {"a.b": ""}, {}, ""),
        (["a"], {"": ""}, {}, ""),
        (["a"], {"1": ""}, {}, ""),
        (["a"], {"ÄB": ""}, {}, ""),
        (["a"], {"UID": "0"}, {}, ""),
        (["a"], {"IFS": "x"}, {}, ""),
        (["a"], {"BASH_ENV": "x"}, {}, ""),
        (["a"], {"A": "b\0"}, {}, ""),
        (["a"], {"A": "x" * (128 * 1024)}, {}, ""),
        (["a", "x" * (128 * 1024)], {}, {}, ""),
        (["a", *["x" * 100_000] * 20], {}, {}, ""),
        (["a"], {}, {"../x": b""}, ""),
        (["a"], {}, {"a b": b""}, ""),
        (["a"], {}, {}, "relative"),
    ],
)
def test_what_no_shell_can_be_told_is_refused(
    command: list[str], variables: dict[str, str], secrets: dict[str, bytes], directory: str
) -> None:
    with pytest.raises(InputError):
        told(command, variables, secrets, directory)
