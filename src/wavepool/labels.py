"""What makes a container or a network ours, and the names they get.

Ours is decided by labels alone. Names are derived, so that the same attempt always gets the same name: a second
create of it clashes instead of running it twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from wavepool.model import Task
from wavepool.units import format_size

OWNER = "wavepool.owner"
RUN = "wavepool.run"
WAVE = "wavepool.wave"
TASK = "wavepool.task"
TASK_KEY = "wavepool.task-key"
ATTEMPT = "wavepool.attempt"
SPEC_HASH = "wavepool.spec-hash"
DETACHED = "wavepool.detached"
"""Set on containers of `wavepool spawn`: nobody watches them; they are left alone until their lifetime ends."""
LIFETIME_END = "wavepool.lifetime-end"
"""Seconds since the epoch after which a detached container may be reaped."""
SCOPE = "wavepool.scope"
"""On networks: ``shared`` (any run of this owner), ``wave``, ``task`` (one attempt with sidecars) or ``stack``."""
ROLE = "wavepool.role"
"""On what is no attempt: containers (``sidecar``, ``exec``, ``stack``) and images (``kept``); a container without it
is an attempt."""
SIDECAR = "wavepool.sidecar"
"""A sidecar's own name, as in the plan."""
LEVEL = "wavepool.level"
"""On sidecars: 0 for one that depends on no other, else one more than the highest that it depends on."""
BESIDE = "wavepool.beside"
"""On sidecars and task networks: the name of the attempt's container that they belong to."""
SIDECARS = "wavepool.sidecars"
"""On an attempt's container: how many sidecars it has."""
IMAGE_ID = "wavepool.image-id"
"""On services of a stack: the id that the image's name stood for."""
STACK = "wavepool.stack"
"""The name of a development stack; its containers and network belong to no run."""

PARKED = "wavepool.parked"
"""On a container that was started ahead of its task: ``bound`` (its labels say which) or ``late`` (told at the claim).
Whether it runs a task yet is told by the start mark in its slot alone."""
SLOT = "wavepool.slot"
"""On a parked container: the host directory that is its slot."""
POOL = "wavepool.pool"
"""On what belongs to a warm pool: the agent type."""

KEPT = "kept"
"""Images: the file system of an attempt that did not succeed."""
EXEC = "exec"
"""Containers in which somebody looks into a kept image."""

SEED_TASK = "cfn.task.id"
SEED_WAVE = "cfn.wave.number"
SEED_BATCH = "cfn.batch.id"
SEED_TIER = "cfn.tier"
SEED_MEMORY = "cfn.memory.limit"

KEPT_REPOSITORY = "wavepool/kept"
"""Where all kept images are tagged: ``wavepool/kept:<task>-<attempt>-<digest>``."""

NAME_PREFIX = "cfn-"
"""Default start of every name: ``cfn-wave<N>-<task>-<digest>``."""

_UNSAFE = re.compile(r"[^a-z0-9_.-]+")
_SAFE_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")


def task_key(task_id: str) -> str:
    """A short text that is safe in paths, container names and host names, and differs where ids differ.

    An id that is already safe (lower case letters, digits, ``_.-``, at most 48) stays as it is, unless it could be
    mistaken for a derived one; any other becomes a readable start and a digest of the whole id (64 bits: with a
    million ids two agree once in 37 million plans).
    """
    if _SAFE_ID.fullmatch(task_id) and not re.search(r"-x[0-9a-f]{16}$", task_id):
        return task_id
    start = _UNSAFE.sub("-", task_id.lower()).strip("-_.")[:24].rstrip("-_.") or "task"
    return f"{start}-x{_digest(task_id, 16)}"


def container_name(*, owner: str, run_id: str, task_id: str, wave: int, attempt: int, prefix: str = NAME_PREFIX) -> str:
    """The name of one attempt's container; the same five values always give the same name. At most 63 + prefix."""
    suffix = _digest("\0".join((owner, run_id, task_id, str(wave), str(attempt))), 12)
    return f"{prefix}wave{wave}-{task_key(task_id)[:36].rstrip('-_.')}-{suffix}"


def wave_network_name(*, owner: str, run_id: str, wave: int, prefix: str = NAME_PREFIX) -> str:
    """The name of a wave's own network."""
    suffix = _digest("\0".join((owner, run_id, str(wave))), 12)
    return f"{prefix}wave{wave}-net-{suffix}"


def pool_network_name(*, owner: str, run_id: str, agent_type: str, prefix: str = NAME_PREFIX) -> str:
    """The name of the own network of one agent type in one session of a pool."""
    suffix = _digest("\0".join((owner, run_id, agent_type)), 12)
    return f"{prefix}pool-{task_key(agent_type)[:36].rstrip('-_.')}-net-{suffix}"


def task_network_name(container: str) -> str:
    """The name of the own network of the attempt whose container has this name."""
    return f"{container}-net"


def sidecar_container_name(container: str, sidecar: str) -> str:
    """The name of a sidecar's container; `container` is that of its attempt."""
    return f"{container}.{sidecar}"


def kept_reference(*, owner: str, run_id: str, task_id: str, attempt: int) -> str:
    """The image that an attempt's file system is kept as; the same four values always give the same reference."""
    suffix = _digest("\0".join((owner, run_id, task_id, str(attempt))), 12)
    return f"{KEPT_REPOSITORY}:{task_key(task_id)[:36].rstrip('-_.')}-{attempt}-{suffix}"


def attempt_labels(
    *, owner: str, run_id: str, task: Task, attempt: int, spec_hash: str, detached: bool, lifetime_end_s: int | None
) -> dict[str, str]:
    """All labels of one attempt's container; applied last, so that nothing can override them."""
    labels = {
        OWNER: owner,
        RUN: run_id,
        WAVE: str(task.wave),
        TASK: task.id,
        TASK_KEY: task.key,
        ATTEMPT: str(attempt),
        SPEC_HASH: spec_hash,
        SEED_TASK: task.id,
        SEED_BATCH: task.id,
        SEED_WAVE: str(task.wave),
        SEED_TIER: str(task.tier),
        SEED_MEMORY: format_size(task.limits.memory_bytes),
    }
    if detached:
        labels[DETACHED] = "true"
    if lifetime_end_s is not None:
        labels[LIFETIME_END] = str(lifetime_end_s)
    return labels


def beside_labels(*, owner: str, run_id: str, task: Task, attempt: int, container: str) -> dict[str, str]:
    """What sidecars and the own network of an attempt carry; `container` is the name of the attempt's container.

    The seeds' labels are left out: whoever counts tasks by them must not count sidecars.
    """
    return {
        OWNER: owner,
        RUN: run_id,
        WAVE: str(task.wave),
        TASK: task.id,
        TASK_KEY: task.key,
        ATTEMPT: str(attempt),
        BESIDE: container,
    }


def is_ours(labels: Mapping[str, str], owner: str) -> bool:
    """True if these labels say that the thing belongs to `owner`."""
    return labels.get(OWNER) == owner


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
