"""What a task can leave behind, and a search for it: two scripts for a container with busybox.

The one who leaves writes its token into every directory it may write to, into processes that hide from signals, into
their arguments and environments, into a deleted file that is held open, and makes what the kernel keeps beyond files
and processes: message queues, shared memory and semaphores. Then it searches by itself, which must find all of it: so a
search that finds nothing later has looked.
"""

from __future__ import annotations

import base64
import platform
import re
import secrets
import struct

HOLDERS = 3
"""Processes that are left."""

LEAVE = r"""
for d in $(find / -type d 2>/dev/null | grep -vE '^/(proc|sys)(/|$)'); do
    { printf '%s\n' "$TOKEN" >"$d/left-$TOKEN"; } 2>/dev/null
done
mkdir -p /tmp/deep/.er "/tmp/with blank" && echo "$TOKEN" >/tmp/deep/.er/.hidden && echo "$TOKEN" >"/tmp/with blank/-x"
ln -s / /tmp/root
mkdir /tmp/shut && echo "$TOKEN" >/tmp/shut/in && chmod 0 /tmp/shut/in && chmod 500 /tmp/shut
mkfifo /tmp/pipe
echo "$TOKEN" >/tmp/held
(trap '' HUP INT TERM; exec 7</tmp/held; exec setsid sleep 3601) >/dev/null 2>&1 &
until [ -e /proc/$!/fd/7 ]; do :; done
rm /tmp/held
setsid sh -c 'while :; do sleep 3602; done' "$TOKEN" >/dev/null 2>&1 &
setsid sh -c "while :; do echo $TOKEN | nc -l -p 4321; done" >/dev/null 2>&1 &
if [ -n "$OBJECTS" ]; then
    echo "$OBJECTS" | base64 -d >/workspace/objects && chmod 700 /workspace/objects && /workspace/objects
fi
until [ "$(echo | nc -w 1 127.0.0.1 4321)" = "$TOKEN" ]; do :; done
"""

LOOK = r"""
looked=0
for f in $(find / -type f 2>/dev/null | grep -vE '^/(proc|sys)(/|$)' | tr ' ' '?'); do
    looked=$((looked + 1))
    if grep -q "$PATTERN" "$f" 2>/dev/null; then echo "found file $f"; fi
done
for f in $(find / 2>/dev/null | grep -vE '^/(proc|sys)(/|$)' | grep "$PATTERN"); do echo "found name $f"; done
for p in /proc/[0-9]*; do
    [ "$p" = "/proc/$$" ] && [ -z "$MINE" ] && continue
    for f in environ cmdline; do
        if grep -q "$PATTERN" "$p/$f" 2>/dev/null; then echo "found $f $p"; fi
    done
    for f in "$p"/fd/*; do
        if [ -f "$f" ] && grep -q "$PATTERN" "$f" 2>/dev/null; then echo "found descriptor $f"; fi
    done
done
for f in shm sem msg; do
    if [ "$(grep -c . /proc/sysvipc/$f)" -gt 1 ]; then echo "found kernel $f"; fi
done
if [ -n "$ADDRESS" ] && echo | nc -w 1 "$ADDRESS" 4321 | grep -q "$PATTERN"; then echo "found port $ADDRESS"; fi
set -- /proc/[0-9]*
echo "looked at $looked files and $# processes"
"""

_KEY = 0x57A7E
_SHMGET, _SEMGET, _MSGGET, _EXIT = 29, 64, 68, 60
_CREATE = 0o1600


class Traces:
    """One task's token, and the environment for the two scripts."""

    def __init__(self) -> None:
        self.token = f"token-{secrets.token_hex(8)}"

    def leaving(self) -> dict[str, str]:
        """For `LEAVE`, and for a `LOOK` of the same task."""
        return {"TOKEN": self.token, "OBJECTS": _objects(), "MINE": "1", **self.looking("127.0.0.1")}

    def looking(self, address: str = "") -> dict[str, str]:
        """For `LOOK`: a pattern that does not match itself."""
        return {"PATTERN": "toke[n]" + self.token.removeprefix("token"), "ADDRESS": address}


def found(output: bytes) -> list[str]:
    """What a search has found. Raises AssertionError where it did not come to its end."""
    lines = output.decode().splitlines()
    assert lines, "nothing was said"
    assert re.fullmatch(r"looked at [1-9]\d* files and [1-9]\d* processes", lines[-1]), lines[-1]
    return [line.removeprefix("found ") for line in lines[:-1]]


def _objects() -> str:
    """A program, base64, that makes one of each of System V's objects; no shell can. Empty for other processors."""
    if platform.machine() != "x86_64":
        return ""
    code = _call(_SHMGET, _KEY, 4096, _CREATE) + _call(_SEMGET, _KEY, 1, _CREATE) + _call(_MSGGET, _KEY, _CREATE, 0)
    code += _call(_EXIT, 0, 0, 0)
    base, headers = 0x400000, 64 + 56
    size = headers + len(code)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + headers, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return base64.b64encode(elf + code).decode()


def _call(number: int, first: int, second: int, third: int) -> bytes:
    """mov eax, edi, esi, edx; syscall"""
    values = ((b"\xb8", number), (b"\xbf", first), (b"\xbe", second), (b"\xba", third))
    return b"".join(opcode + struct.pack("<I", value) for opcode, value in values) + b"\x0f\x05"
