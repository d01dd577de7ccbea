"""Containers that are started ahead of their task: parked, and claimed once."""
