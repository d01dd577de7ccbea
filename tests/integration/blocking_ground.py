"""Where tests of the blocking face work: a stand-in for Claude, worktrees with prompts, a state directory."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wavepool import labels
from wavepool.blocking import ContainerConfig
from wavepool.statedir import StateDir
from wavepool.testing import fake_cli

IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
AGENT_UID = 1000


@dataclass(frozen=True)
class Worktree:
    """What a worktree manager of the seed gives."""

    worktree_path: Path


class Ground:
    """All of it in one directory, which is the working directory too."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.bin = root / "bin"
        self.bin.mkdir()
        self.claude = fake_cli.install(self.bin)
        self.said: list[str] = []

    def config(self, **fields: object) -> ContainerConfig:
        """Claude's stand-in in the test image; what `fields` say beside that holds."""
        usual = {"memory_limit": "64m", "network_mode": "none", "timeout_seconds": 120}
        fixed = {"image": IMAGE, "mounts": (f"{self.claude}:/usr/local/bin/claude",)}
        return ContainerConfig(**{**usual, **fields, **fixed})  # type: ignore[arg-type]  # it checks them itself

    def tree(self, name: str, **prompts: str) -> Path:
        """A directory for a task, which an agent may write in; `prompts` are files in its ``prompts``."""
        path = self.root / ".worktrees" / name
        (path / "prompts").mkdir(parents=True)
        for prompt, text in prompts.items():
            (path / "prompts" / f"{prompt}.md").write_bytes(text.encode())
        if os.getuid() == 0:
            os.chown(path, AGENT_UID, AGENT_UID)
        return path

    def get_worktree(self, task_id: str) -> Worktree:
        """As the seed's manager."""
        return Worktree(self.root / ".worktrees" / task_id)

    def left_behind(self) -> list[str]:
        """Containers, networks and images of our owner."""
        owner = f"label={labels.OWNER}={StateDir(self.state).owner()}"
        found: list[str] = []
        for what in (("ps", "-aq"), ("network", "ls", "-q"), ("image", "ls", "-q")):
            done = subprocess.run(
                ["docker", *what, "--filter", owner], capture_output=True, text=True, timeout=60, check=True
            )
            found += done.stdout.split()
        return found
