"""Read-only looks at the engine, whoever made what is there: to refuse what is not ours, and to say what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Survey(Protocol):
    """What the three steps and the doctor ask beyond the driver contract, which knows only what is ours.

    A Protocol and no ABC, as drivers stand below the engine and cannot inherit from it. Each method raises
    DriverUnavailable where the engine cannot be reached.
    """

    async def container_labels(self, container: str) -> Mapping[str, str] | None:
        """Labels of the container of this id (or the start of one) or name; None where there is none."""

    async def has_image(self, reference: str) -> bool:
        """True if the image is on the host."""

    async def network_labels(self, name: str) -> Mapping[str, str] | None:
        """Labels of the network of exactly this name; None where there is none."""

    async def runs_with_networks(self, owner: str, wave: int) -> frozenset[str]:
        """Ids of this owner's runs that have a network of their own for that wave."""
