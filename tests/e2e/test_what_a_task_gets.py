"""Prompt, variables, secrets, mounts, user, network, and ids of every kind: what is asked for arrives, and no more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from wavepool_cli import World, batch, docker, eventually, plan_of, wave

WAITING = "touch here.$BATCH_ID; while [ ! -e go ]; do sleep 0.05; done"
PROMPT = "Fix “all” of it:\n\t$HOME `id` 'quoted' \"twice\" \\n %s\r\n\n  trailing  "
HOSTILE_IDS = (
    "../../x",
    "-x",
    "--help",
    "..",
    "/etc/passwd",
    "with\nnewline",
    "with\ttab",
    "Größe 東京 🚀",
    "$(touch pwned); `touch pwned` && touch pwned",
    "x" * 256,
    "\x1b[31mred\x1b[0m",
    " ",
    "a" * 60,
    "a" * 61,
    "UPPER",
    "upper",
)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "deploy-key"
    path.write_bytes(b"line one\n\x00\xff not text \n")
    return path


def test_the_image_gets_the_prompt_byte_for_byte(docker_world: World) -> None:
    """A batch without a command: the image's own says what it was given."""
    ids = {"short": PROMPT, "long": ("x" * 99 + "\n") * 2000 + "end", "empty": ""}
    batches = [batch(name, None, task_prompt=prompt) for name, prompt in ids.items()]
    done = docker_world.run(plan_of(wave(1, *batches, batch("default", None))))
    assert done.exit_code == 0
    for name, prompt in (*ids.items(), ("default", "Fix errors in assigned files")):
        said = docker_world.log(done.entries()[name]).read_bytes()
        assert said == f"batch {name}, task {name}\n{prompt}".encode()


def test_a_very_long_line_of_output_is_kept_whole(docker_world: World) -> None:
    """As agents print them: one JSON object, one line."""
    command = "for n in 1 2; do head -c 40000 /dev/zero | tr '\\0' x; echo; done; echo end"
    done = docker_world.run(plan_of(wave(1, batch("one", command))))
    line = b"x" * 40_000 + b"\n"
    assert docker_world.log(done.entries()["one"]).read_bytes() == line + line + b"end\n"


def test_a_command_finds_the_prompt_too(world: World) -> None:
    command = 'cp "$TASK_PROMPT_FILE" from-file; printf %s "$TASK_PROMPT" > from-variable'
    assert world.run(plan_of(wave(1, batch("one", command, task_prompt=PROMPT)))).exit_code == 0
    assert (world.workspace / "from-file").read_bytes() == PROMPT.encode()
    assert (world.workspace / "from-variable").read_bytes() == PROMPT.encode()


def test_ids_of_every_kind_work_and_harm_nothing(world: World) -> None:
    command = 'printf %s "$BATCH_ID" > "$(printf %s "$BATCH_ID" | md5sum | cut -c1-32)"; printf %s "$TASK_ID"'
    outside = sorted(path.name for path in world.root.iterdir())
    done = world.run(plan_of(wave(1, *(batch(name, command) for name in HOSTILE_IDS))))
    assert done.exit_code == 0
    assert set(done.verdicts()) == set(HOSTILE_IDS)
    assert sorted(path.read_bytes().decode() for path in world.workspace.iterdir()) == sorted(HOSTILE_IDS)
    for name, entry in done.entries().items():
        assert world.log(entry).read_bytes().decode() == name
        assert world.log(entry).parent == world.run_dirs()[0] / "logs"
    assert not {"\x1b", "\t"} & set(done.stderr)
    assert {path.name for path in world.root.iterdir()} - set(outside) <= {"state", "plan-1.json"}


def test_variables_from_all_places_the_nearest_wins(world: World) -> None:
    (world.root / "env").write_text("# comment\nFROM_FILE=file=1\nOVERRIDDEN=file\n\nSPACED= a b \n")
    plan = plan_of(wave(1, batch("env", "env > seen", env={"NEAREST": "batch", "NUMBER": 7, "LINES": "1\n2"})))
    options = ("--env-file", "env", "--environment", "OVERRIDDEN=option", "--environment", "NEAREST=option")
    assert world.run(plan, *options, "--environment", "EMPTY=").exit_code == 0
    seen = world.marks("seen")
    expected = {"FROM_FILE=file=1", "OVERRIDDEN=option", "NEAREST=batch", "NUMBER=7", "SPACED= a b ", "EMPTY="}
    assert expected | {"BATCH_ID=env", "TASK_ID=env", "LINES=1", "2"} <= set(seen)


def test_a_secret_is_a_file_and_nothing_else(world: World, secret_file: Path) -> None:
    secret = "only-the-task-may-see-this"
    command = f"cat $WAVEPOOL_SECRETS_DIR/token > got; cp $WAVEPOOL_SECRETS_DIR/key got-key; {WAITING}"
    options = ("--secret", "token=env:MY_TOKEN", "--secret", f"key=file:{secret_file}", "--verbose", "--json")
    run = world.start(plan_of(wave(1, batch("one", command))), *options, env={"MY_TOKEN": secret})
    world.wait_for_file("here.one")
    assert (world.workspace / "got").read_text() == secret
    assert (world.workspace / "got-key").read_bytes() == secret_file.read_bytes()
    if world.driver == "docker":
        (container,) = world.containers()
        assert secret not in docker("inspect", container)
        assert docker("exec", container, "sh", "-c", "ls /run/secrets; df -T /run/secrets | tail -1 | cut -d' ' -f1")
        assert docker("exec", container, "cat", "/run/secrets/token") == secret
    (world.workspace / "got").unlink()
    (world.workspace / "got-key").unlink()
    world.touch("go")
    done = run.finish()
    assert done.exit_code == 0
    assert secret not in done.stdout.decode() + done.stderr
    kept = [path for path in world.root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []
    assert [fact["surroundings"]["secrets"] for fact in done.lines if fact.get("kind") == "RunOpened"] == [
        [
            {"name": "token", "kind": "env", "source": "MY_TOKEN"},
            {"name": "key", "kind": "file", "source": str(secret_file)},
        ]
    ]


def test_mounts_are_read_only_unless_told(docker_world: World) -> None:
    world = docker_world
    for name in ("data", "scratch"):
        (world.root / name).mkdir()
        (world.root / name / "given").write_text(name)
    command = "cat /data/given /scratch/given && echo mine > /scratch/made && ! echo mine 2>&1 > /data/made"
    mounts = ("--mount", f"{world.root}/data:/data", "--mount", f"{world.root}/scratch:/scratch:rw")
    done = world.run(plan_of(wave(1, batch("one", command))), *mounts)
    assert done.exit_code == 0
    assert b"datascratch" in world.log(done.entries()["one"]).read_bytes()
    assert (world.root / "scratch" / "made").read_text() == "mine\n"
    assert not (world.root / "data" / "made").exists()


def test_tasks_run_as_the_workspaces_owner_unless_told(docker_world: World) -> None:
    world = docker_world
    if os.geteuid() != 0:
        pytest.skip("only root can give the workspace away")
    world.workspace.chmod(0o777)
    plan = plan_of(wave(1, batch("who", "echo $(id -u):$(id -g) >> who")))
    owner = f"{world.workspace.stat().st_uid}:{world.workspace.stat().st_gid}"
    assert world.run(plan).exit_code == 0
    (world.workspace / "who").chmod(0o666)
    assert world.run(plan, "--user", "4321:1234").exit_code == 0
    os.chown(world.workspace, 1000, 1000)
    assert world.run(plan).exit_code == 0
    assert world.marks("who") == [owner, "4321:1234", "1000:1000"]


def test_limits_are_the_containers_own(docker_world: World) -> None:
    world = docker_world
    plan = plan_of(wave(1, batch("tiered", WAITING, memory=None, tier=2), batch("sized", WAITING, memory="24m")))
    run = world.start(plan, "--pids", "50", "--cpus", "0.5", env={"CFN_TIER_2_MEMORY": "40m"})
    world.wait_for_file("here.tiered")
    world.wait_for_file("here.sized")
    look = '{{index .Config.Labels "cfn.batch.id"}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} '
    look += "{{.HostConfig.MemoryReservation}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}"
    found = set(docker("inspect", "--format", look, *world.containers()).splitlines())
    world.touch("go")
    assert run.finish().exit_code == 0
    expected = {"tiered": 40 << 20, "sized": 24 << 20}
    assert found == {f"{name} {size} {size} {size} 50 500000000" for name, size in expected.items()}


def test_each_wave_can_have_a_network_of_its_own(docker_world: World) -> None:
    """Tasks of one wave reach each other; those of different waves do not."""
    world = docker_world
    server = batch("server", f"while :; do echo hello | nc -l -p 7000; done & {WAITING}")
    waves = (wave(1, batch("outside", WAITING)), wave(2, server, batch("inside", WAITING)))
    run = world.start(plan_of(*waves), "--isolate", "wave", "--schedule", "rolling")
    for name in ("outside", "server", "inside"):
        world.wait_for_file(f"here.{name}")
    assert sorted(name.partition("-net-")[0] for name in world.networks()) == ["cfn-wave1", "cfn-wave2"]
    address = docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", of(world, "server")
    )
    fetch = ("nc", "-w", "2", address, "7000")
    eventually(lambda: docker("exec", of(world, "inside"), *fetch, check=False) == "hello", "the server listens")
    assert docker("exec", of(world, "outside"), *fetch, check=False) == ""
    world.touch("go")
    assert run.finish().exit_code == 0
    assert world.networks() == []


def of(world: World, batch_id: str) -> str:
    """The id of the container that runs this batch."""
    mine = ("--filter", f"label=wavepool.owner={world.owner()}", "--filter", f"label=cfn.batch.id={batch_id}")
    return docker("ps", "-q", *mine)


def test_no_network_at_all(docker_world: World) -> None:
    command = '[ "$(ls /sys/class/net)" = lo ] && ! ping -c 1 -W 1 10.0.0.1'
    assert docker_world.run(plan_of(wave(1, batch("alone", command))), "--isolate", "none").exit_code == 0


def test_an_anonymous_volume_goes_with_its_container(docker_world: World) -> None:
    world = docker_world
    image = f"wavepool-e2e-volume-{world.network}"
    base = docker("create", "wavepool-test:latest", "true")
    docker("commit", "--change", "VOLUME /data", base, image)
    docker("rm", base)
    try:
        run = world.start(plan_of(wave(1, batch("one", WAITING, image=image))))
        world.wait_for_file("here.one")
        volume = docker("inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", *world.containers())
        assert volume in docker("volume", "ls", "-q").split()
        world.touch("go")
        assert run.finish().exit_code == 0
        assert volume not in docker("volume", "ls", "-q").split()
    finally:
        docker("rmi", image, check=False)
