"""What containers use: by their cgroup files, or by the engine's own figures."""
