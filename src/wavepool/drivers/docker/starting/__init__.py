"""Starting an attempt at most once: what the engine is asked for, and what the attempt finds inside."""
