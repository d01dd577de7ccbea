"""From files with errors to groups of files, each of which one batch will get."""

from wavepool.plan.grouping.group import Bounds, Foreign, Group, Sources
from wavepool.plan.grouping.strategies import Strategy, group

__all__ = ["Bounds", "Foreign", "Group", "Sources", "Strategy", "group"]
