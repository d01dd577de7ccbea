"""Whether tasks can run in an image: found out by running one in it, confined as all are, without any network."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Driver, Needs, Scope
from wavepool.engine.attempts.companions import DATA_UID
from wavepool.engine.verbs.doctor import Check, Status
from wavepool.errors import NotStarted
from wavepool.model import AttemptId, Limits, Task
from wavepool.units import MIB

MEMORY_BYTES = 1024 * MIB
PATIENCE_S = 120.0
OUTPUT_MAX_BYTES = 64 * 1024
TASK = "image-check"

SCRIPT = """
say() {{ printf '%s\\t%s\\t%s\\n' "$1" "$2" "$3"; }}
check() {{ name=$1; shift; if seen=$("$@" 2>&1); then say "$name" ok "$seen"; else say "$name" fail "$seen"; fi; }}
first() {{ told=$("$@" 2>&1); code=$?; printf '%s\n' "$told" | head -n 1; return "$code"; }}
writes() {{ file=$1/.wavepool-image-check; printf %s {token} >"$file" && cat "$file" && rm "$file"; }}
prompt() {{ [ "$(cat "$TASK_PROMPT_FILE")" = {prompt} ] && echo "$TASK_PROMPT_FILE"; }}
say shell ok "$0"
check user id -u
check workspace writes .
check prompt prompt
check home writes "${{HOME:-/}}"
check git git --version
{agent}
say end ok ''
"""
"""Each check is a line: name, tab, outcome, tab, what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCheck:
    """What is checked.

    Attributes:
        image: its reference.
        agent, version: name of the agent, and the argv that makes it tell its version; None and empty for no agent.
        owner: of the state directory, so that what a crash leaves is found.
        scratch: an empty directory of ours, for workspace and slot.
        pull: missing, always or never.
    """

    image: str
    agent: str | None
    version: tuple[str, ...]
    owner: str
    scratch: Path
    pull: str = "missing"


async def check_image(order: ImageCheck, driver: Driver) -> list[Check]:
    """Run one task in the image; what it found, in the order in which tasks need it.

    Raises:
        PrepareError: there is no such image.
        DriverUnavailable: no engine.
        InfrastructureError: the engine lost track of it.
    """
    await driver.prepare(Needs(images=(order.image,), pull=order.pull))
    spec = _spec(order)
    try:
        with anyio.fail_after(PATIENCE_S):
            output = await _output(driver, spec)
    except NotStarted as error:
        fix = "Tasks need /bin/sh." if error.exit_code in (126, 127) else error.advice
        return [Check(name="shell", status=Status.FAIL, seen=error.message, fix=fix)]
    except TimeoutError:
        seen = f"the checks did not end within {PATIENCE_S:.0f} s"
        return [Check(name="shell", status=Status.FAIL, seen=seen, fix="See what its programs wait for.")]
    finally:
        with anyio.CancelScope(shield=True):
            await driver.remove(Scope(owner=order.owner, run_id=spec.run_id))
    return _checks(order, output)


async def _output(driver: Driver, spec: AttemptSpec) -> bytes:
    handle = await driver.start(spec)
    output = b""
    async with driver.logs(handle) as chunks:
        async for chunk in chunks:
            if chunk.stream == "stdout":
                output = (output + chunk.data)[-OUTPUT_MAX_BYTES:]
    return output


def _spec(order: ImageCheck) -> AttemptSpec:
    token, run_id = secrets.token_hex(8), f"check-{secrets.token_hex(6)}"
    workspace, slot = order.scratch / "workspace", order.scratch / "slot"
    workspace.mkdir(mode=0o755)
    slot.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(workspace, DATA_UID, DATA_UID)
    limits = Limits(memory_bytes=MEMORY_BYTES, pids=256)
    task = Task(id=TASK, key=TASK, wave=0, tier=1, limits=limits)
    prompt = f"the words of a prompt {token}"
    agent = f"check agent first {shlex.join(order.version)}" if order.version else ""
    script = SCRIPT.format(token=token, prompt=shlex.quote(prompt), agent=agent)
    return AttemptSpec(
        attempt=AttemptId(TASK, 1),
        owner=order.owner,
        run_id=run_id,
        wave=0,
        name=labels.container_name(owner=order.owner, run_id=run_id, task_id=TASK, wave=0, attempt=1, prefix="cfn-"),
        image=order.image,
        command=("/bin/sh", "-c", script, "/bin/sh"),
        env={"DISABLE_AUTOUPDATER": "1"},
        prompt=prompt,
        limits=limits,
        workspace=workspace,
        slot=slot,
        labels=labels.attempt_labels(
            owner=order.owner, run_id=run_id, task=task, attempt=1, spec_hash=token, detached=False, lifetime_end_s=None
        ),
        spec_hash=token,
    )


def _checks(order: ImageCheck, output: bytes) -> list[Check]:
    found: dict[str, tuple[str, str]] = {}
    for line in output.decode("utf-8", "replace").splitlines():
        name, _, rest = line.partition("\t")
        outcome, tab, seen = rest.partition("\t")
        if tab and outcome in ("ok", "fail"):
            found[name] = (outcome, seen)
    checks = [_check(order, name, found) for name in ("shell", "user", "workspace", "prompt", "home", "git")]
    if order.version:
        checks.append(_check(order, "agent", found))
    else:
        fix = "Say which one must be in it: --agent NAME."
        checks.append(Check(name="agent", status=Status.WARN, seen="not looked for", fix=fix))
    if "end" not in found:
        seen = "the script of the checks did not come to its end"
        checks.append(Check(name="end", status=Status.FAIL, seen=seen, fix="See that /bin/sh is a POSIX shell."))
    return checks


def _check(order: ImageCheck, name: str, found: Mapping[str, tuple[str, str]]) -> Check:
    outcome, seen = found.get(name, ("fail", "it was not reached"))
    if name == "user" and seen == "0":
        outcome = "fail"
    words = {
        "user": f"tasks run as uid {seen}, without capabilities, without a network",
        "workspace": "files can be written in /workspace",
        "home": "its home can be written to",
        "agent": f"{order.agent}: {seen}",
    }
    if outcome == "ok":
        return Check(name=name, status=Status.OK, seen=words.get(name, seen))
    optional = name in ("git", "home") and not order.version
    status = Status.WARN if optional else Status.FAIL
    return Check(name=name, status=status, seen=seen or "no answer", fix=_FIXES.get(name, ""))


_FIXES = {
    "shell": "Tasks need /bin/sh.",
    "user": "Tasks never run as root.",
    "workspace": "Leave /workspace to the mount: it must be no link, and no file.",
    "prompt": "The prompt's file must be readable for any user.",
    "home": "Give it a home that any user may write to: ENV HOME=/home/agent, and RUN mkdir -m 1777 $HOME.",
    "git": "Install git in it.",
    "agent": "Install the agent's program in it, or build an image with `wavepool image build`.",
}
