"""Whether a sidecar is ready, has failed, or needs more time: from the engine's record of its container. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wavepool.drivers.docker.watching.verdict import KILLED, read_final
from wavepool.model import SidecarTrouble

MARGIN_S = 30.0
"""Over what the health check itself may take: a busy engine is late with its tests."""
SETTLE_S = 1.0
PLAIN_S = 60.0
"""For one without a health check to be seen running."""

_DEFAULT_INTERVAL_S = 30.0
_DEFAULT_TIMEOUT_S = 30.0
_DEFAULT_RETRIES = 3
"""The engine's own, for a health check of an image that leaves them out."""

_LAST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`trouble` says why it never will be ready; `transient` that the same start may succeed later.

    `ready` without `tested`: nothing is known of it but that it runs.
    """

    ready: bool = False
    tested: bool = False
    trouble: SidecarTrouble | None = None
    transient: bool = False


def read_readiness(name: str, found: Mapping[str, Any]) -> Readiness:
    """What `inspect`'s answer says of the sidecar `name`, which has been started."""
    state: Mapping[str, Any] = found["State"]
    final = read_final(state)
    if final.status in ("exited", "dead", "removing"):
        reason = f"it ended with exit code {final.exit_code} before it was ready"
        if final.oom_flag:
            reason = f"{reason}: the kernel killed it for memory; give it more (mem_limit)"
        trouble = SidecarTrouble(name=name, reason=reason, exit_code=final.exit_code, oom=final.oom_flag or None)
        # 137 without a memory kill came from outside: that may not happen again.
        return Readiness(trouble=trouble, transient=final.exit_code == KILLED and not final.oom_flag)
    health: Mapping[str, Any] = state.get("Health") or {}
    status = health.get("Status", "none")
    if status == "unhealthy":
        return Readiness(trouble=SidecarTrouble(name=name, reason=f"it is unhealthy{_last_test(health)}"))
    running = final.status == "running"
    return Readiness(ready=running and status in ("none", "", "healthy"), tested=status == "healthy")


def has_settled(found: Mapping[str, Any], waited_s: float, now: datetime) -> bool:
    """True where it has run for long enough to be believed: what is told wrongly mostly ends at once."""
    started_at = read_final(found["State"]).started_at
    return waited_s >= SETTLE_S or (started_at is not None and (now - started_at).total_seconds() >= SETTLE_S)


def late(name: str, found: Mapping[str, Any], waited_s: float) -> SidecarTrouble:
    """The trouble of one that was not ready in time."""
    health = _last_test(found["State"].get("Health") or {})
    return SidecarTrouble(name=name, reason=f"it was not ready after {waited_s:.0f} s{health}")


def patience_s(found: Mapping[str, Any]) -> float:
    """How long to wait for it: what its health check needs to call it unhealthy, and a margin."""
    check: Mapping[str, Any] = found["Config"].get("Healthcheck") or {}
    if not check.get("Test") or check["Test"] == ["NONE"]:
        return PLAIN_S
    interval_s = (check.get("Interval") or 0) / 1e9 or _DEFAULT_INTERVAL_S
    timeout_s = (check.get("Timeout") or 0) / 1e9 or _DEFAULT_TIMEOUT_S
    retries = check.get("Retries") or _DEFAULT_RETRIES
    return float((check.get("StartPeriod") or 0) / 1e9 + retries * (interval_s + timeout_s) + MARGIN_S)


def _last_test(health: Mapping[str, Any]) -> str:
    log = health.get("Log") or []
    if not log:
        return ""
    words = " ".join(str(log[-1].get("Output") or "").split())[-_LAST_WORDS:]
    return f": its last test returned {log[-1].get('ExitCode')}" + (f" and said {words!r}" if words else "")
