"""The slot's directory that tasks have as their workspace: what they change of itself, the host puts right.

They own it, and so can give it another mode (as unpacking an archive with an entry for ``.`` does), or attributes.
"""

from __future__ import annotations

import os
from pathlib import Path


class Ground:
    """Remembers how a directory was. All calls block for some microseconds."""

    def __init__(self, directory: Path) -> None:
        """Take what is there now for what is right. Raises OSError."""
        self._directory = directory
        self._mode = directory.stat().st_mode & 0o7777
        self._attributes = frozenset(os.listxattr(directory))

    def restore(self) -> str:
        """Put mode and attributes back; an empty text, or why they are not, for the end of a sentence."""
        try:
            if self._directory.stat().st_mode & 0o7777 != self._mode:
                self._directory.chmod(self._mode)
            for name in set(os.listxattr(self._directory)) - self._attributes:
                os.removexattr(self._directory, name)
        except OSError as error:
            return f"it changed its workspace, and that cannot be undone: {error.strerror}"
        return ""
