"""Workspaces: the directories that tasks work in, and how their changes come back."""
