"""The pure parts of reused containers: marks in a stream, places to wipe, and what the shell is told."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.drivers.docker.reusing.container import Hearing
from wavepool.drivers.docker.reusing.hello import silence
from wavepool.drivers.docker.reusing.marks import Mark, MarkFinder
from wavepool.drivers.docker.reusing.opening import checked, reusable_body
from wavepool.drivers.docker.reusing.places import Place, places_of
from wavepool.drivers.docker.reusing.runner import make_place, put
from wavepool.drivers.docker.reusing.shell import greeting, lessons, task
from wavepool.drivers.docker.reusing.witness import Witness
from wavepool.errors import CannotPark, InputError, NotStarted, Unknown, WavepoolError
from wavepool.model import Mount
from wavepool.testing.memory_harness import MemoryHarness
from wavepool.testing.reuse_contract import reusable

NONCE = "0123456789abcdef0123456789abcdef"

MOUNTS = """\
600 500 0:40 / / ro,relatime - overlay overlay rw,lowerdir=a,upperdir=b
601 600 0:41 / /proc rw,nosuid - proc proc rw
602 600 0:42 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
603 602 0:43 / /dev/pts rw,nosuid - devpts devpts rw,gid=5
604 602 0:44 / /dev/mqueue rw,nosuid - mqueue mqueue rw
605 602 0:45 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k
606 600 0:46 / /sys ro,nosuid - sysfs sysfs ro
607 600 0:47 / /tmp rw,nosuid - tmpfs tmpfs rw,size=8192k
608 600 0:48 / /run rw,nosuid - tmpfs tmpfs rw,size=8192k
609 608 8:1 /slot/prompt /run/wavepool ro,relatime - ext4 /dev/vda rw
610 608 8:1 /slot/sh /run/wavepool-runner/sh ro,relatime - ext4 /dev/vda rw
611 600 8:1 /slot/work /workspace rw,relatime - ext4 /dev/vda rw
612 600 8:1 /var/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
613 601 0:42 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
614 600 8:1 /data /my\\040data rw,relatime - ext4 /dev/vda rw
"""


# ---- marks ----


@given(
    output=st.binary(max_size=200),
    cuts=st.lists(st.integers(min_value=1, max_value=40), max_size=30),
    rest=st.text(alphabet="abc /*'", max_size=20),
)
def test_marks_are_found_wherever_the_stream_is_cut_and_no_byte_is_lost(
    output: bytes, cuts: list[int], rest: str
) -> None:
    stream = output + f"\x1e{NONCE} ended 7;".encode() + output + f"\x1e{NONCE} done {rest};".encode()
    finder, written, marks = MarkFinder(NONCE), b"", []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        piece, stream = stream[:size], stream[size:]
        for each in finder.feed(piece):
            if isinstance(each, Mark):
                marks.append(each)
            else:
                assert each
                written += each
    assert written == output + output
    assert marks == [Mark("ended", "7"), Mark("done", rest)]


@pytest.mark.parametrize(
    "faked", [b"\x1e", b"\x1e" + NONCE[:-1].encode(), b"\x1e" + b"f" * 32 + b" done ;", NONCE.encode() + b" done ;"]
)
def test_what_only_looks_like_a_mark_is_output(faked: bytes) -> None:
    finder = MarkFinder(NONCE)
    assert b"".join(each for each in finder.feed(faked + b"x") if isinstance(each, bytes)) == faked + b"x"


def test_a_mark_without_an_end_is_an_error_and_not_a_leak() -> None:
    finder = MarkFinder(NONCE)
    list(finder.feed(f"\x1e{NONCE} done ".encode()))
    with pytest.raises(ValueError, match="has no end"):
        list(finder.feed(b"x" * 2000))


def test_a_task_has_ended_only_when_both_streams_say_so() -> None:
    told: list[tuple[str, bytes]] = []
    hearing = Hearing(NONCE, lambda stream, data: told.append((stream, data)))
    hearing.hear("stdout", f"a\x1e{NONCE} ended 3;".encode())
    assert (hearing.exit_code, hearing.is_done) == (3, False)
    hearing.hear("stdout", f"\x1e{NONCE} done 3 files remain;".encode())
    assert not hearing.is_done
    hearing.hear("stderr", f"b\x1e{NONCE} done;".encode())
    assert hearing.is_done
    assert hearing.problem == "files remain"
    assert told == [("stdout", b"a"), ("stderr", b"b")]


def test_output_after_the_end_is_told_and_is_a_problem() -> None:
    told: list[bytes] = []
    hearing = Hearing(NONCE, lambda stream, data: told.append(data))
    hearing.hear("stderr", f"\x1e{NONCE} done;".encode() + b"late")
    assert hearing.problem == "it wrote on after its end"
    assert told == [b"late"]


# ---- places ----


def test_places_are_the_writable_mounts_that_are_not_shared() -> None:
    places = places_of(MOUNTS, work="/workspace", shared={"/my data"})
    assert {place.path: place.kept for place in places} == {
        "/dev/mqueue": (),
        "/dev/shm": (),
        "/tmp": (),
        "/run": ("/run/wavepool", "/run/wavepool-runner"),
        "/run/wavepool-runner": ("/run/wavepool-runner/sh",),
        "/workspace": (),
    }
    assert [place.path for place in places if not place.is_root] == ["/run/wavepool-runner"]


def test_a_volume_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="/my data can be written to"):
        places_of(MOUNTS, work="/workspace", shared=())


def test_a_writable_root_is_refused() -> None:
    with pytest.raises(ValueError, match="root file system"):
        places_of(MOUNTS.replace("/ / ro,", "/ / rw,"), work="/workspace", shared={"/my data"})


def test_a_shared_workspace_is_not_wiped() -> None:
    places = places_of(MOUNTS, work="/workspace", shared={"/my data", "/workspace"})
    assert "/workspace" not in [place.path for place in places]


# ---- what the shell is told ----


def test_a_task_is_one_line_of_commands_however_it_is_written() -> None:
    told = task(NONCE, argv=["prog", "it's\n$(x)"], variables={"A": "b'c", "GONE": None}, directory="/work space")
    assert told.startswith(b"{ ")
    assert told.endswith(b"; }\n")
    assert b"unset GONE; export A='b'\\''c'" in told
    assert b"cd '/work space' || exit 126" in told
    assert b"exec 'prog' 'it'\\''s\n$(x)'" in told


@pytest.mark.parametrize(
    ("argv", "variables"), [(["a\0"], {}), (["a"], {"B": "\0"}), (["a"], {"x-y": "1"}), (["a"], {"UID": "0"}), ([], {})]
)
def test_what_a_shell_cannot_be_told_is_refused(argv: list[str], variables: dict[str, str]) -> None:
    with pytest.raises(InputError):
        task(NONCE, argv=argv, variables=variables, directory="/workspace")


def test_names_of_places_are_quoted() -> None:
    told = lessons([Place(path="/a b'c", kept=("/a b'c/$x",))])
    assert b"'/a b'\\''c'/*" in told
    assert b"case $wp_f in '/a b'\\''c/$x') ;;" in told


def test_the_greeting_hides_the_nonce_from_no_stream() -> None:
    assert greeting(NONCE).count(NONCE.encode()) == 2


# ---- how it is made ----


def test_what_cannot_be_reused_is_refused_with_the_reason(tmp_path: Path) -> None:
    spec = reusable(MemoryHarness(tmp_path))
    for changed, words in (
        (replace(spec, read_only=False), "read-only root"),
        (replace(spec, user="0:0"), "other than root"),
        (replace(spec, user="root"), "other than root"),
        (replace(spec, late=False), "told later"),
        (replace(spec, secrets={"a": b"b"}), "secrets"),
    ):
        with pytest.raises(InputError, match=words):
            checked(changed)


def test_its_shell_is_process_1_and_its_output_is_kept_nowhere(tmp_path: Path) -> None:
    spec = reusable(MemoryHarness(tmp_path))
    spec.workspace.mkdir()
    body = reusable_body(spec, runner=tmp_path / "sh", socket="", host_gateway=False)
    config = body["HostConfig"]
    assert (config["Init"], config["ReadonlyRootfs"], config["IpcMode"]) == (False, True, "private")
    assert config["LogConfig"] == {"Type": "none"}
    assert (config["CapDrop"], config["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert body["Entrypoint"] == ["/run/wavepool-runner/sh"]
    assert all(body[name] for name in ("OpenStdin", "StdinOnce", "AttachStdin", "AttachStdout", "AttachStderr"))
    runner = next(mount for mount in config["Mounts"] if mount["Target"] == "/run/wavepool-runner/sh")
    assert runner["ReadOnly"]
    assert "uid=1000,gid=1000" in config["Tmpfs"]["/tmp"]


def test_the_runner_can_be_executed_and_not_read(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    put(place, b"\x7fELF...")
    assert place.stat().st_mode & 0o777 == 0o111
    assert make_place(tmp_path).stat().st_size == 0, "a second one takes the first one's place"


def test_the_daemon_s_own_socket_is_not_mounted_into_it(tmp_path: Path) -> None:
    engine = tmp_path / "engine" / "d.sock"
    engine.parent.mkdir()
    spec = replace(
        reusable(MemoryHarness(tmp_path)), mounts=(Mount(source=str(engine.parent), target="/x", read_only=True),)
    )
    spec.workspace.mkdir()
    reusable_body(spec, runner=tmp_path / "sh", socket="", host_gateway=False)
    with pytest.raises(NotStarted, match="Docker socket"):
        reusable_body(spec, runner=tmp_path / "sh", socket=str(engine), host_gateway=False)


# ---- what is refused for good, and what only now ----


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (None, NotStarted),
        ({"Running": True, "ExitCode": 0}, Unknown),
        ({"Running": False, "ExitCode": 0}, NotStarted),
        ({"Running": False, "ExitCode": 2}, CannotPark),
        ({"Running": False, "ExitCode": 127}, CannotPark),
        ({"Running": False, "ExitCode": 137}, NotStarted),
    ],
)
def test_only_a_shell_that_ended_by_itself_is_refused_for_good(
    tmp_path: Path, state: dict[str, object] | None, kind: type[WavepoolError]
) -> None:
    error = silence(reusable(MemoryHarness(tmp_path)), state, "sh: no such thing")
    assert type(error) is kind
    if isinstance(error, NotStarted):
        assert error.transient
    if isinstance(error, CannotPark):
        assert "no such thing" in error.message


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EMFILE, NotStarted), (errno.ESRCH, NotStarted), (errno.EACCES, CannotPark)]
)
def test_descriptors_that_are_short_now_are_no_reason_to_refuse_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[WavepoolError]
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text("0::/docker/abc\n")

    def fails(self: Witness, path: Path) -> int:
        raise OSError(number, "refused", str(path))

    monkeypatch.setattr(Witness, "_open", fails)
    with pytest.raises(kind):
        Witness("abc", 7, proc=tmp_path, root=tmp_path)
