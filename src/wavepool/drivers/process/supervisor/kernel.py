"""Files and processes, as the kernel has them."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def quoted(value: object) -> str:
    """JSON for None, bool, int, float, str, list and dict."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(str(key))}: {quoted(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(quoted(item) for item in value) + "]"
    if isinstance(value, str):
        plain = (
            char if " " <= char <= "~" and char not in '"\\' else f"\\u{min(ord(char), 0xFFFD):04x}" for char in value
        )
        return '"' + "".join(plain) + '"'
    return repr(value)


def write_once(directory: str, name: str, content: str, *, durable: bool) -> bool:
    """Create `directory/name` with all of its content, unless it exists. True if it was us."""
    draft = f"{directory}/.{name}.{os.getpid()}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, content.encode())
        if durable:
            os.fsync(fd)
        os.link(draft, f"{directory}/{name}")
    except FileExistsError:
        return False
    finally:
        os.close(fd)
        os.unlink(draft)
    return True


def read_text(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def write_control(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def number_in(path: str, key: str = "") -> int | None:
    """The number of a control file, or that beside `key`."""
    words = (read_text(path) or "").split()
    try:
        return int(words[words.index(key) + 1 if key else 0])
    except (ValueError, IndexError):
        return None


def start_ticks() -> int:
    """When this process started, in clock ticks since boot: with the pid it names a process for good."""
    return int((read_text("/proc/self/stat") or ")" + " 0" * 20).rpartition(")")[2].split()[19])


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def children_of(pid: int) -> list[int]:
    """Direct children, those adopted as a subreaper among them."""
    listed = read_text(f"/proc/{pid}/task/{pid}/children")
    if listed is not None:
        return [int(child) for child in listed.split()]
    stats = ((entry, read_text(f"/proc/{entry}/stat")) for entry in os.listdir("/proc") if entry.isdigit())
    return [int(entry) for entry, stat in stats if stat and int(stat.rpartition(")")[2].split()[1]) == pid]


def signal_quietly(pid: int, number: int) -> None:
    try:  # noqa: SIM105 - contextlib would add milliseconds to the start
        os.kill(pid, number)
    except OSError:
        pass
