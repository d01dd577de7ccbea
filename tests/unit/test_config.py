"""Settings: who wins, what is refused, and how a wrong one is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wavepool.config import Settings, load_settings
from wavepool.config.settings import source_of
from wavepool.errors import InvariantBroken, SettingError
from wavepool.model import Isolation, Schedule, VerdictKind
from wavepool.units import GIB, MIB

NOWHERE = Path("/nonexistent")

SEED_VARIABLES = {
    "base_image": ("CFN_DOCKER_IMAGE", "my-agent:1", "my-agent:1", "claude-flow-novice:latest"),
    "network": ("CFN_DOCKER_NETWORK", "my-net", "my-net", "cfn-network"),
    "workspace": ("CFN_DOCKER_WORKSPACE", "/src", Path("/src"), Path("/workspace")),
    "parallel": ("CFN_SPAWN_PARALLEL_LIMIT", "9", 9, "auto"),
    "spawn_dry_run": ("CFN_SPAWN_DRY_RUN", "true", True, False),
    "monitor_timeout": ("CFN_MONITOR_TIMEOUT", "60", 60.0, 1800.0),
    "poll_interval": ("CFN_MONITOR_POLL_INTERVAL", "0.5", 0.5, 5.0),
    "preserve_logs": ("CFN_MONITOR_PRESERVE_LOGS", "1", True, False),
    "cleanup_preserve_failed": ("CFN_CLEANUP_PRESERVE_FAILED", "false", False, True),
    "cleanup_dry_run": ("CFN_CLEANUP_DRY_RUN", "yes", True, False),
    "log_level": ("CFN_LOG_LEVEL", "DEBUG", "debug", "info"),
    "http_port": ("HTTP_PORT", "80", 80, 8080),
    "websocket_port": ("WEBSOCKET_PORT", "0", 0, 9001),
    "log_dir": ("CFN_LOG_DIR", "logs", NOWHERE / "logs", None),
    "tier_1_memory": ("CFN_TIER_1_MEMORY", "256m", 256 * MIB, None),
    "tier_2_memory": ("CFN_TIER_2_MEMORY", "512m", 512 * MIB, None),
    "tier_3_memory": ("CFN_TIER_3_MEMORY", "768m", 768 * MIB, None),
    "tier_4_memory": ("CFN_TIER_4_MEMORY", "2g", 2 * GIB, None),
}


def load(
    options: dict[str, object] | None = None, environ: dict[str, str] | None = None, cwd: Path = NOWHERE
) -> Settings:
    return load_settings(options or {}, environ={"HOME": "/home/me"} | (environ or {}), cwd=cwd)


@pytest.mark.parametrize("name", SEED_VARIABLES)
def test_the_seeds_variables_and_defaults_hold(name: str) -> None:
    variable, text, value, default = SEED_VARIABLES[name]
    assert getattr(load(), name) == default
    assert getattr(load(environ={variable: text}), name) == value
    assert getattr(load(environ={variable: "wrong!", f"WAVEPOOL_{name.upper()}": text}), name) == value
    assert getattr(load(environ={variable: ""}), name) == default


def test_the_level_that_many_programs_read_comes_last_and_by_their_names() -> None:
    assert load(environ={"LOG_LEVEL": "WARNING"}).log_level == "warn"
    assert load(environ={"LOG_LEVEL": "critical"}).log_level == "error"
    assert load(environ={"LOG_LEVEL": "error", "CFN_LOG_LEVEL": "debug"}).log_level == "debug"
    with pytest.raises(SettingError, match="LOG_LEVEL: got 'loud', expected debug, info, warn or error"):
        load(environ={"LOG_LEVEL": "loud"})


def test_precedence_from_the_option_down_to_the_default(tmp_path: Path) -> None:
    environ = {"WAVEPOOL_PARALLEL": "3", "CFN_SPAWN_PARALLEL_LIMIT": "4"}
    (tmp_path / "wavepool.toml").write_text("parallel = 6\n")
    assert load({"parallel": 2}, environ, tmp_path).parallel == 2
    assert load({"parallel": None}, environ, tmp_path).parallel == 3
    assert load({}, {"CFN_SPAWN_PARALLEL_LIMIT": "4"}, tmp_path).parallel == 4
    assert load({}, {}, tmp_path).parallel == 6
    assert load().parallel == "auto"


def test_the_working_directorys_file_comes_before_the_users(tmp_path: Path) -> None:
    here, home, elsewhere = tmp_path / "here", tmp_path / "home", tmp_path / "xdg"
    for place, parallel in ((here, 1), (home / ".config/wavepool", 2), (elsewhere / "wavepool", 3)):
        place.mkdir(parents=True)
        (place / "wavepool.toml").write_text(f"parallel = {parallel}\nlog_dir = 'logs'")
    environ = {"HOME": str(home)}
    assert load({}, environ, here).parallel == 1
    assert load({}, environ).parallel == 2
    settings = load({}, environ | {"XDG_CONFIG_HOME": str(elsewhere)})
    assert (settings.parallel, settings.log_dir) == (3, elsewhere / "wavepool" / "logs")
    assert load({}, environ | {"XDG_CONFIG_HOME": "relative"}).parallel == 2


def test_every_setting_can_come_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "wavepool.toml").write_text(
        'base-image = "a:b"\nbudget = "40g"\nmemory = 67108864\nschedule = "rolling"\nisolate = "wave"\n'
        'retry_on = ["failed", "lost"]\nkeep_going = true\nmonitor_timeout = "1h"\nworkspace = "~/src"\ncpus = 1.5\n'
    )
    settings = load(cwd=tmp_path)
    assert (settings.base_image, settings.budget, settings.memory) == ("a:b", 40 * GIB, 64 * MIB)
    assert (settings.schedule, settings.isolate) == (Schedule.ROLLING, Isolation.WAVE)
    assert settings.retry_on == (VerdictKind.FAILED, VerdictKind.LOST)
    assert (settings.keep_going, settings.monitor_timeout, settings.cpus) == (True, 3600.0, 1.5)
    assert settings.workspace == Path("/home/me/src")


def test_the_state_directory_follows_xdg() -> None:
    assert load().state_dir == Path("/home/me/.local/state/wavepool")
    assert load(environ={"XDG_STATE_HOME": "/var/s"}).state_dir == Path("/var/s/wavepool")
    assert load(environ={"WAVEPOOL_STATE_DIR": "s", "XDG_STATE_HOME": "/x"}).state_dir == NOWHERE / "s"
    assert load({"state_dir": "~/s"}).state_dir == Path("/home/me/s")


def test_tiers_that_were_set_override() -> None:
    assert load(environ={"CFN_TIER_1_MEMORY": "256m", "WAVEPOOL_TIER_4_MEMORY": "2g"}).tier_overrides == {
        1: 256 * MIB,
        4: 2 * GIB,
    }


WRONG = {
    "driver": "podman",
    "base_image": "a b",
    "pull": "yes",
    "network": "host",
    "isolate": "all",
    "user": "root",
    "name_prefix": "CFN;",
    "subnet_pool": "8.8.8.0/24",
    "parallel": "0",
    "budget": "-1",
    "schedule": "waves",
    "start_order": "random",
    "warm": "-1",
    "parked_memory": "1k",
    "memory": "5m",
    "cpus": "NaN",
    "pids": "0",
    "lifetime": "0",
    "preset": "production",
    "watch_pids": "80%:kill",
    "watch_memory": "100%",
    "watch_lifetime": "soon",
    "watch_progress": "10%",
    "tier_1_memory": "1e9g",
    "tier_2_memory": "0",
    "tier_3_memory": "NaN",
    "tier_4_memory": "lots",
    "monitor_timeout": "0",
    "poll_interval": "-5",
    "grace": "soon",
    "log_limit": "1k",
    "spawn_lifetime": "0s",
    "retries": "0",
    "retry_on": "failed,success",
    "keep_going": "maybe",
    "keep_failed": "perhaps",
    "learn_history": "perhaps",
    "spawn_dry_run": "2",
    "cleanup_dry_run": "x",
    "preserve_logs": "x",
    "cleanup_preserve_failed": "x",
    "cache": "\0",
    "log_dir": "\0",
    "log_level": "loud",
    "state_dir": "\0",
    "workspace": "\0",
    "agent": "Claude Code",
    "agent_image": "a b",
    "agent_memory": "5m",
    "agent_timeout": "0",
    "agent_network": "host",
    "model": "m" * 300,
    "max_turns": "0",
    "max_cost": "0",
    "max_tokens": "-1",
    "run_max_cost": "nan",
    "run_max_tokens": "many",
    "account": "a" * 300,
    "rate_limit_retries": "-1",
    "repo": "\0",
    "workspace_kind": "branch",
    "egress": "https://docs.example.org/",
    "allow_host": "perhaps",
    "check_timeout": "0",
    "output_limit": "1k",
    "check_image": "a b",
    "check_memory": "5m",
    "strategy": "files",
    "packing": "tight",
    "max_parallel": "0",
    "max_files": "0",
    "tier_config": "\0",
    "http_port": "65536",
    "websocket_port": "http",
}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_wrong_value_is_refused_by_the_name_that_was_used(name: str, tmp_path: Path) -> None:
    text = WRONG[name]
    seed = source_of(name).seed
    for variable in (f"WAVEPOOL_{name.upper()}", *([seed] if seed else [])):
        with pytest.raises(SettingError) as caught:
            load(environ={variable: text})
        assert (caught.value.name, caught.value.value, caught.value.exit_code) == (variable, text, 2)
        assert caught.value.expected == source_of(name).expected
    with pytest.raises(SettingError) as caught:
        load({name: text})
    assert caught.value.name == (source_of(name).option or f"--{name.replace('_', '-')}")
    (tmp_path / "wavepool.toml").write_text(f"# settings\n\n{name} = [[]]\n")
    with pytest.raises(SettingError, match=rf"wavepool\.toml, line 3, {name}"):
        load(cwd=tmp_path)


@pytest.mark.parametrize("line", ["parallel = true", "retries = false", "pids = true", "parallel = 1.5", "warm = true"])
def test_a_switch_is_no_number(line: str, tmp_path: Path) -> None:
    (tmp_path / "wavepool.toml").write_text(line)
    with pytest.raises(SettingError, match="whole number"):
        load(cwd=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"paralel = 3", "line 1, paralel.*\nDid you mean parallel"),
        (b"\n[monitor]\ntimeout = 3", "line 2, monitor.*the name of a setting"),
        (b"parallel = ", r"at end of document|line 1"),
        (b"parallel = 1\nparallel = 2", "overwrite"),
        (b"log-level = 'info'\nlog_level = 'warn'", "line 2, log_level.*each setting once"),
        (b"\xff\xfe", "byte 0xff"),
        (b'image = "x"', "line 1, image"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "wavepool.toml").write_bytes(content)
    with pytest.raises(SettingError, match=message) as caught:
        load(cwd=tmp_path)
    assert str(tmp_path / "wavepool.toml") in caught.value.name


@pytest.mark.parametrize(
    ("given", "at_once", "follow"), [("auto", 32, True), ("auto:8", 8, True), ("7", 7, False), (7, 7, False)]
)
def test_starts_are_a_number_or_follow_the_pressure(given: object, at_once: int, follow: bool) -> None:
    settings = load({"parallel": given})
    assert (settings.starts_at_once, settings.starts_follow_pressure) == (at_once, follow)


@pytest.mark.parametrize("given", ["auto:0", "auto:", "auto:99999", "fast", "0", "10001", "-1"])
def test_starts_that_are_neither_are_refused(given: str) -> None:
    with pytest.raises(SettingError, match="expected auto, auto:N, or a whole number from 1 to 10000"):
        load({"parallel": given})


def test_spawn_takes_auto_for_the_seeds_five() -> None:
    assert load().starts_of_spawn == 5
    assert load({"parallel": "auto:3"}).starts_of_spawn == 3
    assert load({"parallel": "9"}).starts_of_spawn == 9


def test_the_processs_own_environment_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("WAVEPOOL_PARALLEL", "CFN_SPAWN_PARALLEL_LIMIT", "PARALLEL"):
        monkeypatch.setenv(variable, "77")
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert load().parallel == "auto"
    assert load().state_dir == Path("/home/me/.local/state/wavepool")


def test_without_a_home_only_the_state_directory_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert load({"state_dir": "/s"}, {"HOME": ""}).state_dir == Path("/s")
    with pytest.raises(SettingError, match="--state-dir"):
        load({}, {"HOME": ""})


def test_settings_do_not_change_and_have_no_others() -> None:
    with pytest.raises(ValidationError):
        load().parallel = 6
    with pytest.raises(InvariantBroken, match="paralel"):
        load({"paralel": 3})


@given(st.sampled_from(sorted(Settings.model_fields)), st.text(max_size=12))
def test_any_text_is_a_setting_or_a_setting_error(name: str, text: str) -> None:
    try:
        load({name: text})
    except SettingError as error:
        caught = error
    else:
        return
    assert caught.expected


def test_a_path_is_told_without_two_slashes_and_without_a_way_up(tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/away")
    assert load({"state_dir": f"/{tmp_path}/.//state"}).state_dir == tmp_path / "state"
    assert str(load({"state_dir": f"/{tmp_path}/state"}).state_dir) == str(tmp_path / "state")
    assert load({"state_dir": "./../state"}, cwd=tmp_path / "far").state_dir == tmp_path / "state"
    assert load({"state_dir": "link/../state"}, cwd=tmp_path).state_dir == tmp_path / "far" / "state"
    assert load({"state_dir": "link/state"}, cwd=tmp_path).state_dir == tmp_path / "link" / "state"
