"""Coding agents: one file for each, saying how it is called and what its output means."""
