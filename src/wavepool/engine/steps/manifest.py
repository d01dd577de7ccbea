"""The manifest of spawned containers: what `spawn` writes, and `monitor` and `cleanup` read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from wavepool.engine.report import stamp
from wavepool.errors import InputError, shorten
from wavepool.model import Handle, Task
from wavepool.units import format_size

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", re.ASCII)
_FULL_ID_LENGTH = 64
_SHORT_ID_LENGTH = 12
"""What `docker ps` shows; a shorter start of an id may fit several containers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One container of a manifest. Only `container_id` (an id, the start of one, or a name) is always there.

    Attributes:
        wave: its wave, from the entry itself or from the manifest.
        timeout_s: the batch's own bound, counted from its start.
    """

    container_id: str
    name: str = ""
    batch_id: str | None = None
    tier: int | None = None
    memory_limit: str | None = None
    started_at: str | None = None
    wave: int | None = None
    timeout_s: float | None = None

    def means(self, handle: Handle) -> bool:
        """True if `handle` is this entry's container."""
        wanted = self.container_id
        if len(wanted) < _FULL_ID_LENGTH and wanted == handle.name:
            return True
        return handle.id == wanted or (len(wanted) >= _SHORT_ID_LENGTH and handle.id.startswith(wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The containers of one wave. `wave` is None where the file does not say."""

    source: str
    wave: int | None
    entries: tuple[Entry, ...]

    def only(self, wave: int | None) -> Manifest:
        """This manifest with the entries of `wave` alone; None keeps all. Entries that name no wave are kept.

        Raises:
            InputError: every entry belongs to another wave.
        """
        if wave is None:
            return self
        kept = tuple(entry for entry in self.entries if entry.wave in (wave, None))
        if self.entries and not kept:
            there = ", ".join(
                str(number) for number in sorted({entry.wave for entry in self.entries if entry.wave is not None})
            )
            raise InputError(f"--wave-number: got {wave}, expected a wave of {self.source}: {there}")
        return replace(self, wave=wave, entries=kept)


def parse_manifest(raw: bytes, source: str) -> Manifest:
    """The manifest that `raw` holds: what `spawn` printed, or the same by hand.

    `wave` is accepted for `wave_number`, and `id` for `container_id`; unknown fields are ignored.

    Raises:
        InputError: naming the file, the path in the JSON, the value there and what was expected.
    """
    document = _document(raw, source)
    wave = _wave(document, source, "")
    containers = document.get("containers")
    if not isinstance(containers, list):
        raise _wrong(source, "containers", containers, "a list of containers")
    entries = tuple(_entry(item, source, f"containers[{place}]", wave) for place, item in enumerate(containers))
    seen: dict[str, int] = {}
    for place, entry in enumerate(entries):
        if seen.setdefault(entry.container_id, place) != place:
            first = f"containers[{seen[entry.container_id]}] has it already"
            raise _wrong(source, f"containers[{place}].container_id", entry.container_id, f"an id of its own: {first}")
    return Manifest(source=source, wave=wave, entries=entries)


def container_entry(handle: Handle, task: Task, *, status: str, started_at: datetime | None) -> dict[str, object]:
    """What a manifest says of one spawned container. `timeout` in seconds only where the batch has one."""
    entry: dict[str, object] = {
        "container_id": handle.id,
        "id": handle.id,
        "container_name": handle.name,
        "batch_id": task.id,
        "tier": task.tier,
        "memory_limit": format_size(task.limits.memory_bytes),
        "status": status,
        "started_at": stamp(started_at),
    }
    return entry if task.timeout_s is None else entry | {"timeout": task.timeout_s}


def unmatched(entries: Iterable[Entry], handles: Iterable[Handle]) -> list[Entry]:
    """The entries that mean none of `handles`."""
    handles = list(handles)
    ids = {handle.id for handle in handles} | {handle.name for handle in handles}
    return [
        entry
        for entry in entries
        if entry.container_id not in ids and not any(entry.means(handle) for handle in handles)
    ]


def _document(raw: bytes, source: str) -> dict[str, object]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(source, "", f"byte 0x{raw[error.start]:02x} at offset {error.start}", "UTF-8") from None
    if not text.strip():
        raise _wrong(source, "", "an empty file", "the JSON that `wavepool spawn` printed")
    try:
        document = json.loads(text)
    except RecursionError:
        raise _wrong(source, "", "JSON nested too deeply", "the JSON that `wavepool spawn` printed") from None
    except ValueError as error:
        raise InputError(f"{source}: got no JSON ({error}), expected what `wavepool spawn` printed") from None
    if not isinstance(document, dict):
        raise _wrong(source, "", document, "a JSON object with a list of containers")
    return document


def _entry(item: object, source: str, path: str, wave: int | None) -> Entry:
    if not isinstance(item, dict):
        raise _wrong(source, path, item, "a container as a JSON object")
    container_id = item.get("container_id", item.get("id"))
    if not isinstance(container_id, str) or not _REFERENCE.fullmatch(container_id):
        raise _wrong(source, f"{path}.container_id", container_id, "a container's id or name")
    own_wave = _wave(item, source, f"{path}.")
    return Entry(
        container_id=container_id,
        name=_text(item, "container_name") or _text(item, "name") or "",
        batch_id=_text(item, "batch_id"),
        tier=item["tier"] if type(item.get("tier")) is int else None,
        memory_limit=_text(item, "memory_limit"),
        started_at=_text(item, "started_at"),
        wave=wave if own_wave is None else own_wave,
        timeout_s=_seconds(item.get("timeout"), source, f"{path}.timeout"),
    )


def _wave(document: Mapping[str, object], source: str, path: str) -> int | None:
    key = "wave_number" if "wave_number" in document else "wave"
    given = document.get(key)
    if given is None:
        return None
    if type(given) is not int or given < 0:
        raise _wrong(source, f"{path}{key}", given, "a wave's number")
    return given


def _seconds(given: object, source: str, path: str) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1e10:
        raise _wrong(source, path, given, "seconds above zero")
    return float(given)


def _text(item: Mapping[str, object], key: str) -> str | None:
    given = item.get(key)
    return given if isinstance(given, str) else None


def _wrong(source: str, path: str, value: object, expected: str) -> InputError:
    where = f"{source}: {path}" if path else source
    shown = "nothing" if value is None else shorten(value)
    return InputError(f"{where}: got {shown}, expected {expected}")
