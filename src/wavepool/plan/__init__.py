"""Wave plans: from bytes to checked values. Pure: nothing here reads a file, a clock or the environment."""

from wavepool.plan.capacity import check_capacity
from wavepool.plan.dependencies import check_schedule
from wavepool.plan.limits import LimitPolicy, limit_policy
from wavepool.plan.parsing import parse_plan
from wavepool.plan.schema import Plan
from wavepool.plan.tiers import Tier, TierMap

__all__ = ["LimitPolicy", "Plan", "Tier", "TierMap", "check_capacity", "check_schedule", "limit_policy", "parse_plan"]
