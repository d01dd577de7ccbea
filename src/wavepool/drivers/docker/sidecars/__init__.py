"""Containers beside an attempt, and development stacks made of the same."""
