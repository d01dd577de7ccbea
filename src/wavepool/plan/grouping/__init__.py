"""From files with errors to groups of files, each of which one batch will get."""

from wavepool.plan.grouping.group import Bounds, Foreign, Group, Sources
from wavepool.plan.grouping.ownership import Contested, contested
from wavepool.plan.grouping.strategies import Strategy, group

__all__ = ["Bounds", "Contested", "Foreign", "Group", "Sources", "Strategy", "contested", "group"]
