"""The images that Wavepool builds, as the files of their build contexts: one directory for each.

They are built with the engine's own API (`wavepool image build`), so nothing here is run.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

AGENT = "agent"
EGRESS = "egress"


def recipe(name: str) -> dict[str, bytes]:
    """The files of one image's build context: name -> content; ``Dockerfile`` is among them.

    Raises:
        FileNotFoundError: there is no such image.
    """
    directory: Traversable = files(__name__) / name
    return {each.name: each.read_bytes() for each in directory.iterdir() if each.is_file()}
