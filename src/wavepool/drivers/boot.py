"""Which boot of this host it is: clocks can be set back, and its name is never used again."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """The kernel's name for this boot. Raises OSError where it gives none."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
