"""`wavepool recover`: what a dead orchestrator left, what would be done about it and why, and doing it.

survey (looks) -> classify (pure: findings with their acts and causes) -> reaper (performs these very acts).
"""
