"""From a check that fails to a plan, and from a plan to a check that passes."""
