"""Agents that run at the same time cannot reach each other where they are sealed; where they are not, they can."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest
from wavepool_cli import TEST_IMAGE, World

IMAGES = Path(__file__).parents[2] / "scripts" / "sealed-images"
BUILD_S = 900
DEADLINE_S = 200.0

NEIGHBOUR = r"""
read -r me other
await() {
    left=900
    until [ -e "$1" ]; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || exit 9
        sleep 0.1
    done
}
says() { if grep -q hello; then echo open; else echo shut; fi; }
reach() { printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 "$1" 8080 2>/dev/null | says; }
proxied() { http_proxy=http://egress:3128 wget -q -T 9 -O - "http://$1:8080/" 2>/dev/null | says; }
mkdir -p /tmp/www
echo hello >/tmp/www/index.html
httpd -p 8080 -h /tmp/www
{ hostname; ip -4 -o addr show | awk '$2 != "lo" { split($4, parts, "/"); print parts[1] }'; } >"$me.new"
mv "$me.new" "$me.names"
await "$other.names"
{
    echo "itself $(reach 127.0.0.1)"
    while read -r name; do
        echo "directly $(reach "$name")"
        echo "by-proxy $(proxied "$name")"
    done <"$other.names"
} >"$me.trying"
mv "$me.trying" "$me.found" # whole at once: the other ends as soon as it is there
await "$other.found" # it serves until the other has tried
"""


@cache
def build_proxy() -> None:
    """The image of the proxy, unless it is there."""
    made = subprocess.run([IMAGES], capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert made.returncode == 0, made.stderr


def neighbours(world: World, *words: str) -> list[list[str]]:
    """Have two agents try to reach each other; what each found, line by line."""
    for path in world.workspace.iterdir():
        path.unlink()
    if os.geteuid() == 0:
        os.chown(world.workspace, 10001, 10001)  # agents never work as root
    where = ("--workspace-kind", "shared", "--repo", str(world.workspace), "--state-dir", str(world.state))
    room = ("--driver", "docker", "--image", TEST_IMAGE, "--memory", "32m", "--budget", "1g", "--parallel", "2")
    agent = ("--agent", "command", "--", "sh", "-c", NEIGHBOUR)
    done = world.command("task", "one two", "two one", *where, *room, *words, *agent).finish(DEADLINE_S)
    assert done.exit_code == 0, done.stderr
    assert all(len(world.marks(f"{me}.names")) >= 2 for me in ("one", "two"))
    return [world.marks(f"{me}.found") for me in ("one", "two")]


@pytest.mark.docker
def test_sealed_agents_cannot_reach_each_other_and_others_can(docker_world: World) -> None:
    build_proxy()
    for found in neighbours(docker_world):
        assert found[0] == "itself open"
        assert set(found[1:]) == {"directly shut", "by-proxy shut"}
    for found in neighbours(docker_world, "--network", "bridge"):
        assert found[0] == "itself open"
        assert "directly open" in found
