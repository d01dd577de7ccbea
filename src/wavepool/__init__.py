"""Run many coding agents, or any commands, in memory-budgeted waves of parallel containers."""
