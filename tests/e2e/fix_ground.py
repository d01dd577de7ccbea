"""A repository full of real ruff errors, the image that has ruff, and `wavepool fix` on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from user_git import git
from wavepool_cli import Finished, Running, World

GIT_IMAGE = os.environ.get("WAVEPOOL_GIT_IMAGE", "wavepool-git:latest")
IMAGE = os.environ.get("WAVEPOOL_RUFF_IMAGE", "wavepool-ruff:latest")
SCRIPTS = Path(__file__).parents[2] / "scripts"
DEADLINE_S = 300.0

RULES = """\
[lint]
select = ["F401", "F541", "E703", "W291"]
"""

FAULTS = {
    "F401": "import os\nimport json\n\nprint(json.dumps({{}}), {number})\n",
    "F541": 'print(f"nothing in it", {number})\n',
    "E703": "number = {number};\nprint(number)\n",
    "W291": "print({number}) \n",
}
"""A rule -> a file with one error of it, that ruff can mend."""

MEND_ONE_KIND = """\
# Mends one kind of error in the files that it is given: the first that it finds.
for rule in F401 F541 E703 W291; do
    if ! ruff check --quiet --no-cache --select $rule "$@" >/dev/null; then
        exec ruff check --no-cache --fix-only --select $rule "$@"
    fi
done
"""

AGENT = r"""#!/bin/sh
# Stands in for claude: mends the files that its prompt names, and tells what that cost.
grep -oE '[A-Za-z0-9_./-]+\.py' | sort -u >/tmp/named
xargs ruff check --no-cache --quiet --fix </tmp/named >/dev/null || exit 9
printf '%s\n' '{"type":"system","subtype":"init","session_id":"s-1","model":"stand-in","tools":[]}'
printf '{"type":"result","subtype":"success","is_error":false,"session_id":"s-1","num_turns":3,'
printf '"result":"Mended.","total_cost_usd":0.25,"usage":{"input_tokens":100,"output_tokens":10}}\n'
"""


@cache
def image() -> str:
    """The test image with git and this environment's ruff in it, built where it is missing."""
    built = subprocess.run(
        [str(SCRIPTS / "git-image")], capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert built.returncode == 0, built.stderr
    ruff = Path(sys.executable).with_name("ruff")
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        _copy(ruff, tree / "usr/bin/ruff")
        told = subprocess.run(["ldd", str(ruff)], capture_output=True, text=True, check=True).stdout
        for library in sorted(set(re.findall(r"/[^ ()]+", told))):
            _copy(Path(library).resolve(), tree / library.lstrip("/"))
        (Path(scratch) / "Dockerfile").write_text(f"FROM {GIT_IMAGE}\nCOPY tree /\n")
        words = ["docker", "build", "--quiet", "--tag", IMAGE, scratch]
        env = {**os.environ, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S, env=env)
    assert done.returncode == 0, done.stderr
    return IMAGE


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
    for directory in target.parents:
        directory.chmod(0o755)


class Workshop:
    """A repository with errors in it, and a place that batches in containers see too."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.repo = world.workspace
        self.meet = world.root / "meet"
        self.meet.mkdir()
        self.meet.chmod(0o777)
        git(self.repo, "init", "-q", "-b", "main")
        self.write("ruff.toml", RULES)

    def write(self, path: str, text: str) -> None:
        target = self.repo / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self) -> str:
        """What was written; the commit."""
        git(self.repo, "add", "-A")
        git(self.repo, "commit", "-qm", "As it is")
        return git(self.repo, "rev-parse", "HEAD")

    def errors(self, *, directories: int, files: int, faults: tuple[str, ...] = ("F401", "W291")) -> int:
        """Directories with files that have one error of each of these rules; how many there are."""
        for number in range(directories * files):
            text = "".join(FAULTS[rule].format(number=number) for rule in faults)
            self.write(f"part_{number % directories}/mod_{number}.py", text)
        return directories * files * len(faults)

    def options(self, *more: str) -> list[str]:
        """Where everything is."""
        where = ["--workspace", str(self.repo), "--state-dir", str(self.world.state), "--budget", "2g"]
        if self.world.driver == "process":
            return [*where, "--driver", "process", "--allow-host", *more]
        mount = ["--mount", f"{self.meet}:/meet:rw"]
        return [*where, "--driver", "docker", "--image", image(), "--network", "none", *mount, *more]

    def start(
        self, *words: str, command: str = "ruff check --no-cache .", then: tuple[str, ...] = (), path: str = ""
    ) -> Running:
        """`wavepool fix`, under way; `then` is what stands after ``--``, `path` where this host's tools are."""
        after = ("--", *then) if then else ()
        path = path or f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {"ANTHROPIC_API_KEY": "dummy", "PATH": path}
        return self.world.command("fix", "--command", command, *self.options(*words), *after, env=env)

    def fix(self, *words: str, **how: Any) -> Finished:
        """To its end."""
        return self.start(*words, **how).finish(DEADLINE_S)

    def faults_of(self, commit: str) -> int:
        """How many errors this host's ruff finds in a commit."""
        with tempfile.TemporaryDirectory() as scratch:
            git(self.repo, "worktree", "add", "-q", "--detach", f"{scratch}/tree", commit)
            words = [str(Path(sys.executable).with_name("ruff")), "check", "--no-cache", "--output-format=concise", "."]
            done = subprocess.run(words, cwd=f"{scratch}/tree", capture_output=True, text=True, check=False)
            git(self.repo, "worktree", "remove", "--force", f"{scratch}/tree")
        return sum(bool(re.match(r".+:\d+:\d+: ", line)) for line in done.stdout.splitlines())

    def branches(self) -> list[str]:
        return sorted(git(self.repo, "branch", "--format=%(refname:short)").split())

    def left(self) -> list[str]:
        """What is there beside the branches: worktrees, places of fixes, slots, containers."""
        trees = git(self.repo, "worktree", "list", "--porcelain").split("\n\n")
        fixes = self.world.state / "fixes"
        found = [f"worktree {tree}" for tree in trees[1:]]
        places = fixes.iterdir() if fixes.exists() else ()
        found += [f"fix {path}" for path in places if any("journal" not in each.name for each in path.iterdir())]
        work = self.world.state.glob("runs/*/work/*/tree")
        return [*found, *(f"clone {path}" for path in work)]
