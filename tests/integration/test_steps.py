"""spawn, monitor, cleanup and doctor as a user types them, on the real engine; the blocking helpers beside them."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from wavepool import blocking
from wavepool.cli import main
from wavepool.errors import DriverUnavailable, InputError, NoSuchAttempt
from wavepool.statedir import StateDir

pytestmark = pytest.mark.docker

IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
DEADLINE_S = 90
PROGRESS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ Running: \d+, Completed: \d+, Failed: \d+, Timeout: \d+$")


def docker(*arguments: str, check: bool = True) -> str:
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert not check or ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


class User:
    """Somebody with a state directory, a workspace and a network name of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.workspace = root / "workspace"
        self.workspace.mkdir()
        self.workspace.chmod(0o755)
        self.network = f"wavepool-test-{secrets.token_hex(4)}"
        self.env = {
            **os.environ,
            "WAVEPOOL_STATE_DIR": str(self.state),
            "CFN_DOCKER_IMAGE": IMAGE,
            "CFN_DOCKER_NETWORK": self.network,
            "CFN_DOCKER_WORKSPACE": str(self.workspace),
            "WAVEPOOL_GRACE": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("wavepool")), *arguments]

    def wavepool(self, *arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> Ran:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            env=self.env | (env or {}),
            cwd=self.root,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            cwd=self.root,
        )

    def plan(self, *waves: tuple[int, list[dict[str, Any]]], name: str = "plan.json") -> str:
        path = self.root / name
        path.write_text(json.dumps({"waves": [{"wave_number": number, "batches": each} for number, each in waves]}))
        return str(path)

    def containers(self) -> list[str]:
        """Names of all that this state directory owns."""
        owner = self.state / "owner"
        if not owner.exists():
            return []
        label = f"label=wavepool.owner={owner.read_text().strip()}"
        return docker("ps", "--all", "--filter", label, "--format", "{{.Names}}").split()

    def has_network(self) -> bool:
        return self.network in docker("network", "ls", "--format", "{{.Name}}").split()


@pytest.fixture
def typed(user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The same command line inside this process, for the many commands that end before anything starts."""
    for name, value in user.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(user.root)

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["wavepool", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(ended.value.code if isinstance(ended.value.code, int) else 1, out, err)

    return run


class Ran:
    """What a command did."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    made = User(tmp_path)
    yield made
    for name in made.containers():
        docker("rm", "--force", "--volumes", name, check=False)
    if made.has_network():
        docker("network", "rm", made.network, check=False)


@pytest.fixture
def foreigner() -> Iterator[str]:
    """Somebody else's container, with a name like ours."""
    name = f"cfn-wave1-foreign-{secrets.token_hex(4)}"
    docker("run", "--detach", "--name", name, IMAGE, "sleep", "600")
    yield name
    docker("rm", "--force", name, check=False)


@contextmanager
def ended_for_sure(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def batch(batch_id: str, command: str | list[str], **fields: Any) -> dict[str, Any]:
    return {"batch_id": batch_id, "tier": 1, "memory": "32m", "command": command} | fields


def test_a_wave_from_spawn_to_cleanup(user: User) -> None:
    look = 'test "$BATCH_ID$TASK_ID" = shownshown && cat "$TASK_PROMPT_FILE" && echo "$GREETING"'
    plan = user.plan(
        (
            1,
            [
                batch("shown", f"{look} && echo x > /workspace/made", task_prompt="Fix Button.tsx ünd mehr\n"),
                batch("fails", "echo broken >&2; exit 3", tier=2, memory="600m"),
                batch("../../odd id\n", "sleep 1"),
            ],
        )
    )
    script = f'{user.command()[0]} spawn --wave-plan <(cat "{plan}") --wave-number 1 --output spawned.json'
    script += " --environment GREETING=hi=there"
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=DEADLINE_S, env=user.env, cwd=user.root
    )
    assert ran.returncode == 0, ran.stderr
    spawned = json.loads(ran.stdout)
    assert spawned == json.loads((user.root / "spawned.json").read_text())
    assert (spawned["wave_number"], spawned["total_spawned"], spawned["total_memory"]) == (1, 3, "664MB")
    assert [entry["batch_id"] for entry in spawned["containers"]] == ["shown", "fails", "../../odd id\n"]
    second = spawned["containers"][1]
    assert second["id"] == second["container_id"]
    assert (second["tier"], second["memory_limit"], second["status"]) == (2, "600m", "running")
    inspected = json.loads(docker("inspect", second["container_id"]))[0]
    assert inspected["HostConfig"]["Memory"] == inspected["HostConfig"]["MemoryReservation"] == 600 << 20
    assert inspected["Config"]["Labels"]["cfn.tier"] == "2"
    assert inspected["Name"] == "/" + second["container_name"]
    assert second["container_name"].startswith("cfn-wave1-fails-")

    watched = user.wavepool(
        "monitor",
        "--containers",
        "spawned.json",
        "--output",
        "results.json",
        "--poll-interval",
        "0.2",
        "--preserve-logs",
    )
    assert watched.code == 1
    assert watched.json == json.loads((user.root / "results.json").read_text())
    assert watched.json["completion_status"] == "complete"
    assert watched.json["metrics"] == {"total": 3, "running": 0, "exited": 3, "success": 2, "failed": 1, "timeout": 0}
    assert [entry["exit_code"] for entry in watched.json["containers"]] == [0, 3, 0]
    assert [entry["exit_status"] for entry in watched.json["containers"]] == ["success", "failed", "success"]
    assert [entry["batch_id"] for entry in watched.json["containers"]] == ["shown", "fails", "../../odd id\n"]
    assert all(entry["started_at"] and entry["completed_at"] for entry in watched.json["containers"])
    assert any(PROGRESS.match(line) for line in watched.stderr.splitlines())
    first_log = Path(watched.json["containers"][0]["log"])
    assert first_log.read_text() == "Fix Button.tsx ünd mehr\nhi=there\n"
    assert (user.workspace / "made").read_text() == "x\n"

    cleaned = user.wavepool(
        "cleanup", "--wave-number", "1", "--pattern", "cfn-wave1-*", "--output-dir", "kept", "--output", "cleanup.json"
    )
    assert cleaned.code == 0, cleaned.stderr
    assert cleaned.json == json.loads((user.root / "cleanup.json").read_text())
    assert (cleaned.json["containers_removed"], cleaned.json["logs_preserved"], cleaned.json["errors"]) == (3, 1, [])
    assert cleaned.json["summary"] == "Successfully removed 3 containers, preserved logs from 1 failed container"
    kept = user.root / "kept" / f"{second['container_id']}.log"
    assert kept.read_text() == "broken\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert user.containers() == []
    assert not user.has_network()
    assert user.wavepool("cleanup", "--wave-number", "1").code == 0, "nothing to clean is no error"


def test_wave_1_spares_wave_10_and_foreign_containers(user: User, foreigner: str) -> None:
    plan = user.plan((1, [batch("one", "sleep 600")]), (10, [batch("ten", "sleep 600")]))
    for wave in ("1", "10"):
        assert user.wavepool("spawn", "--wave-plan", plan, "--wave-number", wave, "--output", f"{wave}.json").code == 0
    manifest = json.loads((user.root / "1.json").read_text())
    manifest["containers"].append({"container_id": foreigner})
    (user.root / "mixed.json").write_text(json.dumps(manifest))
    refused = user.wavepool("monitor", "--containers", "mixed.json", "--timeout", "1")
    assert (refused.code, refused.stdout) == (2, "")
    assert foreigner in refused.stderr
    assert "not ours" in refused.stderr
    cleaned = user.wavepool("cleanup", "--wave-number", "1", "--containers", "mixed.json")
    assert cleaned.json["containers_removed"] == 1
    assert [name.startswith("cfn-wave10-ten-") for name in user.containers()] == [True]
    assert docker("inspect", "--format", "{{.State.Running}}", foreigner) == "true"
    assert user.has_network(), "wave 10 still uses it"
    assert user.wavepool("cleanup", "--wave-number", "10").json["networks_removed"] == [user.network]
    assert docker("inspect", "--format", "{{.State.Running}}", foreigner) == "true"


def test_what_runs_at_the_timeout_is_stopped_and_reported(user: User) -> None:
    plan = user.plan((1, [batch("deaf", "trap '' TERM; while :; do sleep 0.1; done"), batch("bad", "exit 1")]))
    user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1", "--output", "s.json")
    watched = user.wavepool("monitor", "--containers", "s.json", "--timeout", "1", "--output", "r.json")
    assert watched.code == 2
    deaf = json.loads((user.root / "r.json").read_text())["containers"][0]
    assert (deaf["exit_code"], deaf["exit_status"], deaf["status"], deaf["verdict"]) == (
        124,
        "timeout",
        "exited",
        "timeout",
    )
    assert watched.json["completion_status"] == "timeout"
    assert watched.json["metrics"]["timeout"] == 1
    assert docker("inspect", "--format", "{{.State.Running}}", deaf["container_id"]) == "false"
    assert blocking.exit_code(deaf["container_id"], state_dir=user.state) == 124
    assert user.wavepool("monitor", "--containers", "s.json").code == 2, "it stays a timeout"


def test_a_container_that_vanishes_is_no_success(user: User) -> None:
    plan = user.plan((1, [batch("gone", "sleep 600"), batch("good", "true")]))
    spawned = user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1", "--output", "s.json")
    arguments = ("monitor", "--containers", "s.json", "--poll-interval", "0.1", "--output", "r.json")
    with ended_for_sure(user.started(*arguments)) as watching:
        assert watching.stderr is not None
        assert PROGRESS.match(watching.stderr.readline().rstrip())
        docker("rm", "--force", spawned.json["containers"][0]["container_id"])
        watching.communicate(timeout=DEADLINE_S)
    assert watching.returncode == 1
    gone = json.loads((user.root / "r.json").read_text())["containers"][0]
    assert (gone["status"], gone["exit_status"], gone["verdict"]) == ("removed", "failed", "lost")
    again = user.wavepool("monitor", "--containers", "s.json")
    assert (again.code, again.json["containers"][0]["verdict"]) == (1, "lost")


def test_ctrl_c_on_the_monitor_writes_results_and_stops_nothing(user: User) -> None:
    plan = user.plan((1, [batch("slow", "sleep 600")]))
    user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1", "--output", "s.json")
    with ended_for_sure(
        user.started("monitor", "--containers", "s.json", "--poll-interval", "0.1", "--output", "r.json")
    ) as watching:
        assert watching.stderr is not None
        watching.stderr.readline()
        watching.send_signal(signal.SIGINT)
        out, _ = watching.communicate(timeout=DEADLINE_S)
    assert watching.returncode == 130
    results = json.loads((user.root / "r.json").read_text())
    assert results == json.loads(out)
    assert (results["completion_status"], results["metrics"]["running"]) == ("interrupted", 1)
    assert docker("inspect", "--format", "{{.State.Running}}", results["containers"][0]["container_id"]) == "true"


def test_ctrl_c_on_the_spawn_says_what_exists(user: User) -> None:
    wave = secrets.randbelow(900_000) + 1000
    plan = user.plan((wave, [batch(f"b{number}", "sleep 600") for number in range(60)]))
    listening = ["docker", "events", "--filter", "event=start", "--filter", f"label=cfn.wave.number={wave}"]
    arguments = ("--wave-plan", plan, "--wave-number", str(wave), "--parallel", "2", "--output", "s.json")
    with (
        ended_for_sure(subprocess.Popen([*listening, "--since", "0s"], stdout=subprocess.PIPE, text=True)) as events,
        ended_for_sure(user.started("spawn", *arguments)) as spawning,
    ):
        assert events.stdout is not None
        assert "start" in events.stdout.readline()
        spawning.send_signal(signal.SIGINT)
        out, err = spawning.communicate(timeout=DEADLINE_S)
    assert spawning.returncode == 130
    spawned = json.loads(out)
    assert spawned == json.loads((user.root / "s.json").read_text())
    assert spawned["interrupted"] is True
    assert sorted(entry["container_name"] for entry in spawned["containers"]) == sorted(user.containers())
    assert 1 <= spawned["total_spawned"] < 60
    assert spawned["total_spawned"] + spawned["total_failed"] == 60
    advice = re.search(r"wavepool (cleanup --wave-number \d+ --run-id \S+)", err)
    assert advice is not None
    assert user.wavepool(*advice[1].split()).code == 0
    assert user.containers() == []


def test_what_can_not_start_fails_its_batch_alone(user: User) -> None:
    # More environment than execve or the memory limit bears: the engine creates the container and cannot start it.
    too_much = {f"VARIABLE_{number}": "x" * 120_000 for number in range(60)}
    plan = user.plan((1, [batch("huge", "true", env=too_much), batch("missing", ["/no/such/program"])]))
    spawned = user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1", "--output", "s.json")
    assert spawned.code == 1
    assert [entry["batch_id"] for entry in spawned.json["containers"]] == ["missing"]
    assert [entry["batch_id"] for entry in spawned.json["errors"]] == ["huge"]
    assert "did not start" in spawned.json["errors"][0]["error"]
    assert "batch 'huge' was not spawned" in spawned.stderr
    assert len(user.containers()) == 1, "what did not start is not left behind"
    watched = user.wavepool("monitor", "--containers", "s.json")
    assert (watched.code, watched.json["containers"][0]["exit_code"]) == (1, 127)


def test_dry_runs_say_what_they_would_do_and_do_nothing(user: User) -> None:
    plan = user.plan((1, [batch("a", "sleep 600"), batch("b", "exit 1")]))
    dry = user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1", "--dry-run", "--output", "dry.json")
    assert dry.code == 0, dry.stderr
    assert [(each["action"], each["memory"]) for each in dry.json["actions"]] == [
        ("create_network", None),
        ("start_container", "32m"),
        ("start_container", "32m"),
    ]
    assert all(each["cause"] for each in dry.json["actions"])
    assert not user.state.exists()
    assert not user.has_network()
    assert user.wavepool("cleanup", "--wave-number", "1", "--dry-run").code == 0
    assert not user.state.exists()
    user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1")
    before = docker(
        "ps", "--all", "--no-trunc", "--filter", f"network={user.network}", "--format", "{{.ID}} {{.State}}"
    )
    planned = user.wavepool("cleanup", "--wave-number", "1", env={"CFN_CLEANUP_DRY_RUN": "true"})
    assert planned.code == 0
    assert [each["action"] for each in planned.json["actions"]].count("remove_container") == 2
    after = docker("ps", "--all", "--no-trunc", "--filter", f"network={user.network}", "--format", "{{.ID}} {{.State}}")
    assert after == before


def test_anonymous_volumes_go_with_their_containers_and_are_counted(user: User) -> None:
    image = f"wavepool-test-volume:{secrets.token_hex(4)}"
    made = docker("create", IMAGE, "true")
    try:
        docker("commit", "--change", "VOLUME /data", made, image)
        plan = user.plan((1, [batch("a", "true", image=image), batch("b", "true")]))
        assert user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1").code == 0
        cleaned = user.wavepool("cleanup", "--wave-number", "1", "--preserve-all-logs")
        assert (cleaned.json["volumes_cleaned"], cleaned.json["logs_preserved"]) == (1, 2)
    finally:
        docker("rm", "--force", made, check=False)
        docker("rmi", image, check=False)


def test_a_live_run_is_left_alone(user: User) -> None:
    plan = user.plan((1, [batch("a", "true")]))
    spawned = user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1").json
    with StateDir(user.state).run(spawned["run_id"]).lock():
        cleaned = user.wavepool("cleanup", "--wave-number", "1")
    assert (cleaned.code, cleaned.json["containers_removed"]) == (0, 0)
    assert cleaned.json["skipped"][0]["run_id"] == spawned["run_id"]
    assert spawned["run_id"] in cleaned.stderr
    assert len(user.containers()) == 1


BAD_SPAWNS: list[tuple[str, Callable[[User], list[str]], str]] = [
    ("no plan", lambda user: ["--wave-plan", "missing.json"], "missing.json"),
    ("an empty plan", lambda user: ["--wave-plan", _file(user, "")], "empty"),
    ("a truncated plan", lambda user: ["--wave-plan", _file(user, '{"waves": [{')], "cut off"),
    ("no such wave", lambda user: ["--wave-number", "7"], "one of the waves"),
    ("a wave that is no number", lambda user: ["--wave-number", "x"], "--wave-number"),
    ("an unset variable", lambda user: ["--environment", "NAME"], "NAME=VALUE"),
    ("a forbidden variable", lambda user: ["--environment", "LD_PRELOAD=x"], "LD_PRELOAD"),
    ("no workspace", lambda user: ["--workspace", "/no/such/place"], "/no/such/place"),
    ("the whole host", lambda user: ["--workspace", "/"], "--workspace"),
    ("the socket", lambda user: ["--mount", "/var/run/docker.sock:/x"], "Docker socket"),
    ("too little memory", lambda user: ["--memory", "5m"], "--memory"),
    ("too much memory", lambda user: ["--memory", "1000t"], "memory"),
    ("no parallelism", lambda user: ["--parallel", "0"], "--parallel"),
    ("the host's network", lambda user: ["--network", "host"], "--network"),
    ("a missing image", lambda user: ["--base-image", "wavepool-test/none:1", "--pull", "never"], "docker pull"),
    ("an unset secret", lambda user: ["--secret", "WAVEPOOL_TEST_NO_SUCH_VARIABLE"], "--secret"),
    ("nowhere to write", lambda user: ["--output", "/no/such/place/s.json"], "--output"),
    ("a dependency inside", lambda user: ["--wave-plan", _dependent(user)], "wavepool run"),
]


def _file(user: User, text: str) -> str:
    path = user.root / "bad.json"
    path.write_text(text)
    return str(path)


def _dependent(user: User) -> str:
    return user.plan((1, [batch("a", "true"), batch("b", "true", depends_on=["a"])]), name="dependent.json")


@pytest.mark.parametrize(("_what", "arguments", "words"), BAD_SPAWNS, ids=[row[0] for row in BAD_SPAWNS])
def test_bad_input_starts_nothing(
    user: User, typed: Callable[..., Ran], _what: str, arguments: Callable[[User], list[str]], words: str
) -> None:
    plan = user.plan((1, [batch("a", "sleep 600")]))
    ran = typed("spawn", "--wave-plan", plan, "--wave-number", "1", *arguments(user))
    assert (ran.code, ran.stdout) == (2, "")
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert user.containers() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("monitor", "--containers", "none.json"), "none.json"),
        (("monitor", "--containers", "bad.json"), "containers[0].container_id"),
        (("monitor", "--containers", "good.json", "--wave-number", "2"), "a wave of good.json: 1"),
        (("monitor", "--containers", "good.json", "--timeout", "0"), "--timeout"),
        (("monitor", "--containers", "good.json", "--poll-interval", "-1"), "--poll-interval"),
        (("monitor", "--containers", "good.json", "--output", "/"), "--output"),
        (("cleanup", "--wave-number", "-1"), "--wave-number"),
        (("cleanup", "--wave-number", "1", "--pattern", ""), "--pattern"),
        (("cleanup", "--wave-number", "1", "--pattern", "*"), "--pattern"),
        (("cleanup", "--wave-number", "1", "--pattern", "cfn-*"), "--pattern"),
        (("cleanup", "--wave-number", "1", "--pattern", "cfn-wave10-*"), "--pattern"),
        (("cleanup", "--wave-number", "1", "--pattern", "a;rm"), "--pattern"),
        (("cleanup", "--wave-number", "1", "--run-id", "../x"), "--run-id"),
        (("cleanup", "--wave-number", "1", "--containers", "bad.json"), "containers[0].container_id"),
        (("cleanup",), "--wave-number"),
    ],
    ids=" ".join,
)
def test_bad_input_of_the_other_steps(
    user: User, typed: Callable[..., Ran], arguments: tuple[str, ...], words: str
) -> None:
    (user.root / "bad.json").write_text('{"containers": [{"container_id": "a b"}]}')
    (user.root / "good.json").write_text('{"wave_number": 1, "containers": [{"container_id": "abcdef012345"}]}')
    ran = typed(*arguments)
    assert (ran.code, ran.stdout) == (2, "")
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_a_daemon_there_is_advice(user: User) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{user.root}/none.sock"}
    plan = user.plan((1, [batch("a", "true")]))
    spawned = user.wavepool("spawn", "--wave-plan", plan, "--wave-number", "1", env=nowhere)
    assert (spawned.code, spawned.stdout) == (2, "")
    assert "systemctl start docker" in spawned.stderr
    assert user.wavepool("cleanup", "--wave-number", "1", env=nowhere).code == 2
    (user.root / "m.json").write_text('{"containers": [{"container_id": "abcdef012345", "batch_id": "a"}]}')
    watched = user.wavepool("monitor", "--containers", "m.json", "--output", "r.json", env=nowhere)
    assert watched.code == 3
    assert json.loads((user.root / "r.json").read_text())["completion_status"] == "interrupted"
    examined = user.wavepool("doctor", "--json", env=nowhere)
    assert examined.code == 1
    failed = [check for check in examined.json["checks"] if check["status"] == "fail"]
    assert [check["name"] for check in failed] == ["daemon"]
    assert "systemctl start docker" in failed[0]["fix"]


def test_an_empty_wave_is_an_empty_success(user: User) -> None:
    spawned = user.wavepool(
        "spawn", "--wave-plan", "-", "--wave-number", "1", stdin='{"waves":[{"wave_number":1,"batches":[]}]}'
    )
    assert (spawned.code, spawned.json["total_spawned"], spawned.json["containers"]) == (0, 0, [])
    assert "warning" in spawned.stderr
    watched = user.wavepool("monitor", "--containers", "-", stdin=spawned.stdout)
    assert (watched.code, watched.json["metrics"]["total"]) == (0, 0)


def test_the_doctor_finds_this_machine_able(user: User) -> None:
    examined = user.wavepool("doctor", "--json")
    assert examined.code == 0, examined.stdout
    assert examined.json["ok"] is True
    found = {check["name"]: check["status"] for check in examined.json["checks"]}
    assert {"socket", "daemon", "API", "network", "image", "cgroups", "memory", "workspace"} <= set(found)
    assert found["image"] == found["workspace"] == found["API"] == "ok"
    assert not user.state.exists(), "looking makes nothing"
    table = user.wavepool("doctor", "--workspace", "/")
    assert table.code == 1
    assert "fail  workspace" in table.stdout
    assert "--workspace" in table.stdout


def test_the_seeds_helper_functions(user: User, tmp_path: Path) -> None:
    names = {kind: f"wavepool-helper-{kind}-{secrets.token_hex(4)}" for kind in ("good", "bad", "slow", "brief")}
    try:
        good = docker(
            "run", "--detach", "--memory", "64m", "--name", names["good"], IMAGE, "sh", "-c", "echo out; echo err >&2"
        )
        docker("run", "--detach", "--name", names["bad"], IMAGE, "sh", "-c", "exit 5")
        docker("run", "--detach", "--name", names["slow"], IMAGE, "sleep", "600")
        assert blocking.parse_memory("512m") == 536870912
        blocking.check_docker_access()
        assert blocking.wait_for_containers([good], DEADLINE_S) == 0
        assert blocking.wait_for_containers([names["good"], names["bad"]], DEADLINE_S) == 1
        assert blocking.wait_for_containers([good[:12], names["slow"]], 0.5) == 2
        assert blocking.wait_for_containers([], 1) == 0
        assert blocking.wait_for_containers(["no-such-container"], 30) == 1
        docker("run", "--detach", "--rm", "--name", names["brief"], IMAGE, "sleep", "5")
        assert blocking.wait_for_containers([names["brief"]], DEADLINE_S) == 0, "its event tells, though it is gone"
        states = {kind: blocking.container_status(names[kind]) for kind in ("good", "bad", "slow")}
        assert states == {"good": "exited", "bad": "failed", "slow": "running"}
        assert (blocking.exit_code(good, state_dir=user.state), blocking.exit_code(names["bad"])) == (0, 5)
        with pytest.raises(NoSuchAttempt, match="no exit code yet"):
            blocking.exit_code(names["slow"])
        manifest = blocking.container_manifest(good[:12], "batch-1", 1)
        assert (manifest["container_id"], manifest["memory_limit"], manifest["batch_id"]) == (good, "64m", "batch-1")
        log = blocking.save_logs(good, tmp_path / "logs")
        assert log == tmp_path / "logs" / f"{good}.log"
        assert sorted(log.read_text().split()) == ["err", "out"]
    finally:
        docker("rm", "--force", *names.values(), check=False)


def test_the_helpers_say_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(NoSuchAttempt, match="no-such-container"):
        blocking.container_status("no-such-container")
    for call in (blocking.container_status, blocking.exit_code):
        with pytest.raises(InputError, match="expected a container's id or name"):
            call("../version")

    async def inside() -> None:
        blocking.wait_for_containers(["x"], 1)

    with pytest.raises(RuntimeError, match=r"wait_for_containers\(\) blocks.*to_thread"):
        anyio.run(inside)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(DriverUnavailable, match="systemctl start docker"):
        blocking.check_docker_access()
