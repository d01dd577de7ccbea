"""Wave plans: from bytes to checked values. Pure: nothing here reads a file, a clock or the environment."""

from wavepool.plan.capacity import check_budget, check_capacity
from wavepool.plan.dependencies import check_schedule
from wavepool.plan.limits import LimitPolicy, limit_policy
from wavepool.plan.parsing import parse_plan
from wavepool.plan.schema import Plan
from wavepool.plan.tasklist import TaskDefaults, parse_task_list, plan_of_prompts
from wavepool.plan.tiers import Tier, TierMap
from wavepool.plan.warmth import Warm, warm_places

__all__ = [
    "LimitPolicy",
    "Plan",
    "TaskDefaults",
    "Tier",
    "TierMap",
    "Warm",
    "check_budget",
    "check_capacity",
    "check_schedule",
    "limit_policy",
    "parse_plan",
    "parse_task_list",
    "plan_of_prompts",
    "warm_places",
]
