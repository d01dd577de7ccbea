"""Settings of warm pools: the seed's names, its presets and types, who wins, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.config import load_pools, load_settings
from wavepool.errors import SettingError, WavepoolError
from wavepool.inputs.poolfields import FIELDS
from wavepool.inputs.pools import agent_type_problem, parse_pools
from wavepool.model import AlertRules, Limits, PoolSettings
from wavepool.units import MIB

SEED_BASIC = {
    "poolSize": 2,
    "warmupAgentTypes": ["coder", "tester", "reviewer", "researcher", "planner"],
    "maxContainerAge": 3600000,
    "healthCheckInterval": 30000,
    "containerIdleTimeout": 1800000,
    "autoScaling": True,
    "minPoolSize": 1,
    "maxPoolSize": 10,
    "scaleUpThreshold": 80,
    "scaleDownThreshold": 20,
    "readOnlyRootFs": True,
    "noNewPrivileges": True,
    "user": "swarm:swarm",
}
SEED_PRODUCTION = {
    "poolSize": 3,
    "warmupAgentTypes": ["coder", "tester", "reviewer", "researcher", "planner"],
    "autoScaling": True,
    "minPoolSize": 1,
    "maxPoolSize": 8,
    "scaleUpThreshold": 75,
    "scaleDownThreshold": 25,
    "maxContainerAge": 7200000,
    "healthCheckInterval": 60000,
    "containerIdleTimeout": 3600000,
    "readOnlyRootFs": True,
    "noNewPrivileges": True,
    "user": "swarm:swarm",
    "enableContainerReuse": True,
    "preloadCommonImages": True,
    "optimizeNetworking": True,
    "dockerImage": "claude-flow-agent:stable",
    "timeoutMs": 300000,
}


def test_the_seeds_basic_configuration_is_the_default() -> None:
    basic, ours = parse_pools(SEED_BASIC), parse_pools({"user": "swarm:swarm"})
    assert basic == ours
    assert basic.of("coder").settings == PoolSettings()
    assert basic.warm == ("coder", "tester", "reviewer", "researcher", "planner")
    assert parse_pools({}).of("coder").agent.user is None


def test_the_production_preset_is_the_seeds_with_reuse_left_off() -> None:
    seed = parse_pools(SEED_PRODUCTION)
    assert seed.of("coder").settings.reuse
    assert parse_pools(SEED_PRODUCTION | {"enableContainerReuse": False}) == parse_pools({"preset": "production"})
    settings = parse_pools({"preset": "production"}).of("tester").settings
    assert (settings.size, settings.min_size, settings.max_size, settings.reuse) == (3, 1, 8, False)
    assert (settings.max_age_s, settings.health_interval_s, settings.idle_timeout_s) == (7200.0, 60.0, 3600.0)
    assert (settings.scale_up_percent, settings.scale_down_percent) == (75.0, 25.0)
    assert (seed.timeout_s, seed.preload) == (300.0, True)


def test_the_seeds_agent_types_have_its_sizes_and_variables() -> None:
    config = parse_pools({})
    sizes = {
        name: (config.of(name).agent.limits.memory_bytes // MIB, config.of(name).agent.limits.cpus)
        for name in config.types
    }
    assert sizes["coder"] == (512, 1.0)
    assert sizes["tester"] == (256, 0.5)
    assert sizes["reviewer"] == (128, 0.25)
    assert config.of("coder").agent.env == {"CODER_MODE": "true", "ALLOW_CODE_EXECUTION": "true"}
    assert config.of("tester").agent.env == {"TESTER_MODE": "true", "TEST_FRAMEWORKS": "jest,mocha,cypress"}
    assert config.of("reviewer").agent.env == {"REVIEWER_MODE": "true", "ANALYSIS_TOOLS": "eslint,prettier,sonar"}


def test_every_limit_of_a_type_can_be_set() -> None:
    limits = parse_pools({"memory": "64m", "pids": 100, "poet": {"cpus": 2, "lifetime": "1h"}}).of("poet").agent.limits
    assert limits == Limits(memory_bytes=64 * MIB, cpus=2.0, pids=100, lifetime_s=3600.0)


def test_an_unknown_type_gets_the_default_settings_under_its_own_name() -> None:
    config = parse_pools({"poolSize": 4, "dockerImage": "mine:1"})
    assert "poet" not in config.types
    poet = config.of("poet")
    assert (poet.agent.name, poet.agent.image, poet.agent.env, poet.settings.size) == ("poet", "mine:1", {}, 4)


@pytest.mark.parametrize(
    "document",
    [
        {"size": 3, "pools": {"coder": {"memory": "1g", "environment": {"LANG": "C"}}, "poet": {}}},
        {"size": 3, "types": {"coder": {"memory": "1GB", "environment": {"LANG": "C"}}, "poet": {}}},
        {"poolSize": "3", "coder": {"memory": 1 << 30, "environment": {"LANG": "C"}}, "poet": {}},
        {"pools": {"size": 3, "coder": {"memory": "1024m", "environment": {"LANG": "C"}}, "poet": {}}},
    ],
)
def test_types_stand_under_pools_or_by_themselves_and_are_warm(document: dict[str, object]) -> None:
    config = parse_pools(document)
    assert config.warm == ("coder", "poet")
    assert config.of("coder").agent.limits.memory_bytes == 1024 * MIB
    assert config.of("coder").agent.env == {"CODER_MODE": "true", "ALLOW_CODE_EXECUTION": "true", "LANG": "C"}
    assert config.of("coder").settings.size == config.of("poet").settings.size == 3


def test_the_nearest_wins() -> None:
    document = {"memory": "1g", "size": 3, "coder": {"memory": "2g"}, "preset": "production"}
    config = parse_pools(document, overrides={"size": 5, "image": None}, image="mine:1")
    assert config.of("coder").agent.limits.memory_bytes == 2048 * MIB
    assert config.of("tester").agent.limits.memory_bytes == 1024 * MIB  # said of all, over what it has by itself
    assert {config.of(name).settings.size for name in ("coder", "tester", "poet")} == {5}
    assert config.of("coder").agent.image == "mine:1"
    assert parse_pools({"image": "theirs:1"}, image="mine:1").of("coder").agent.image == "theirs:1"


def test_bounds_that_nobody_gave_follow_what_was_given() -> None:
    def bounds(**given: object) -> tuple[int, int, int]:
        settings = parse_pools(given).of("coder").settings
        return settings.size, settings.min_size, settings.max_size

    assert bounds(size=0) == (0, 0, 10)
    assert bounds(size=12) == (12, 1, 12)
    assert bounds(max_size=1) == (1, 1, 1)
    assert bounds(min_size=5) == (5, 5, 10)
    assert bounds(min_size=11) == (11, 11, 11)


def test_milliseconds_are_the_seeds_and_seconds_ours() -> None:
    def age_s(**given: object) -> float:
        return parse_pools(given).of("coder").settings.max_age_s

    assert age_s(maxContainerAge=90000) == age_s(maxContainerAge="90000") == age_s(max_age=90) == 90.0
    assert age_s(maxContainerAge="90s") == age_s(max_age="1m30s") == 90.0


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"poolSize": -1}, "poolSize: got -1, expected a whole number from 0 to 1000"),
        ({"size": True}, "size: got True, expected a whole number"),
        ({"size": 2.5}, "size: got 2.5, expected a whole number"),
        ({"minPoolSize": 5, "maxPoolSize": 3}, "minPoolSize: got 5, expected at most max_size, which is 3"),
        ({"size": 12, "max_size": 10}, "size: got 12, expected at most max_size, which is 10"),
        ({"size": 1, "min_size": 2}, "size: got 1, expected at least min_size, which is 2"),
        (
            {"max_size": 3, "pools": {"coder": {"min_size": 4}}},
            "pools.coder.min_size: got 4, expected at most max_size",
        ),
        ({"max_size": 0}, "max_size: got 0, expected a whole number from 1"),
        ({"poolSzie": 3}, "poolSzie: got 3, expected the name of a setting before it\nDid you mean poolSize?"),
        ({"coder": {"memroy": "1g"}}, "coder.memroy: got '1g', expected the name of a setting before it\nDid you mean"),
        ({"enviroment": {"A": "b"}}, "Did you mean environment?"),
        (
            {"scaleUpThreshold": 20, "scaleDownThreshold": 80},
            "scaleDownThreshold: got 80, expected less than scale_up",
        ),
        (
            {"reuse": True, "coder": {"read_only": False}},
            "reuse: got reuse without read_only, expected both, or no reuse",
        ),
        ({"scale_up": 15}, "scale_up: got 15, expected more than scale_down, which is 20"),
        ({"scale_up": 101}, "scale_up: got 101, expected a percentage from 0 to 100"),
        ({"dockerImage": "no image!"}, "dockerImage: got 'no image!', expected an image reference"),
        ({"coder": {"memory": "1m"}}, "coder.memory: got '1m', expected a size of at least 6m"),
        ({"coder": {"cpus": 0}}, "coder.cpus: got 0, expected cores"),
        ({"coder": {"timeout": 5}}, "coder.timeout: got 5, expected timeout beside the types"),
        (
            {"coder": {"environment": {"LD_PRELOAD": "x"}}},
            "coder.environment: got variables, expected for 'LD_PRELOAD' another",
        ),
        ({"maxContainerAge": 0}, "maxContainerAge: got 0, expected a duration above zero"),
        ({"size": 2, "poolSize": 3}, "poolSize: got 3, expected each setting once, and size says it too"),
        ({"warm": "coder,Tester"}, "warm: got 'coder,Tester', expected an agent type"),
        ({"Coder!": {}}, "Coder!: got this name, expected an agent type"),
        ({"pools": [1]}, "pools: got [1], expected settings by agent type"),
        ({"types": {"coder": {}}, "coder": {}}, "each agent type once"),
        ({"cleanupBetweenTasks": False}, "expected true, or nothing: a container is never handed on without a wipe"),
        ({"optimizeNetworking": False}, "expected true, or nothing"),
        ({"noNewPrivileges": False}, "expected true, or nothing: no task ever gets new privileges"),
        ({"logLevel": "loud"}, "logLevel: got 'loud', expected debug, info, warn or error"),
        ({"preset": "prod"}, "preset: got 'prod', expected default or production"),
        ({"user": "a b"}, "user: got 'a b', expected uid:gid"),
        ({"network": "host"}, "network: got 'host', expected a network of its own name"),
        ({"alert_healthy": 80}, "alert_healthy: got 80, expected a part from 0 to 1, or off"),
        ({1: 2}, "1: got a name that is no text"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(document: dict[str, object], words: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_pools(document)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_file_is_named_and_an_option_by_its_own_name() -> None:
    with pytest.raises(SettingError, match=r"^pools\.yaml: pools\.coder\.size: got -1"):
        parse_pools({"pools": {"coder": {"size": -1}}}, source="pools.yaml")
    with pytest.raises(SettingError, match=r"^--max-size: got -1"):
        parse_pools({}, overrides={"max_size": -1})


def test_the_values_of_variables_are_never_shown() -> None:
    with pytest.raises(SettingError) as caught:
        parse_pools({"environment": {"TOKEN": "hunter2\0"}})
    assert "hunter2" not in str(caught.value)


def test_alerts_can_be_set_and_switched_off() -> None:
    alerts = parse_pools({"alert_utilization": "95%", "alert_hit_rate": "off", "alert_healthy": 0.5}).alerts
    assert alerts == AlertRules(utilization_percent=95.0, hit_rate_percent=None, healthy_ratio=0.5)
    assert parse_pools({}).alerts == AlertRules()


def test_every_setting_of_ours_is_read_with_a_right_value() -> None:
    samples: dict[str, object] = {"preset": "default", "image": "a", "warm": "coder", "log_level": "debug", "size": 2}
    samples |= {"environment": {}, "user": "1000:1000", "network": "none", "workspace": "/w", "alert_healthy": "off"}
    for name, field in FIELDS.items():
        value = samples.get(name, "true" if "true" in field.expected else "32m" if "size of" in field.expected else 50)
        parse_pools({name: value})
        parse_pools({name.replace("_", "-"): value})


@pytest.mark.parametrize("name", ["coder", "a", "x_1.y-z", "a" * 48])
def test_names_of_agent_types(name: str) -> None:
    assert agent_type_problem(name) is None
    for wrong in (name.upper(), f"-{name}", f"{name} ", name * 49, ""):
        assert agent_type_problem(wrong) is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*FIELDS, "poolSize", "maxContainerAge", "coder", "pools", "x"]), inner)
        ),
        max_leaves=8,
    )
)
def test_any_document_is_pools_or_a_setting_error(document: object) -> None:
    if not isinstance(document, dict):
        document = {"pools": document}
    try:
        config = parse_pools(document)
    except SettingError:
        return
    for spec in (*config.types.values(), config.fallback):
        assert 0 <= spec.settings.min_size <= spec.settings.size <= spec.settings.max_size


# -- files --


def load(
    cwd: Path, options: dict[str, object] | None = None, file: str | None = None, home: Path | None = None
) -> PoolSettings:
    environ = {"HOME": str(home or cwd / "nowhere")}
    return load_pools(options or {}, environ=environ, cwd=cwd, file=file).of("coder").settings


def test_a_table_of_wavepool_toml_is_read_and_does_not_disturb_other_settings(tmp_path: Path) -> None:
    (tmp_path / "wavepool.toml").write_text("parallel = 3\n[pools]\nsize = 4\n[pools.coder]\nmax_age = '5m'\n")
    settings = load(tmp_path)
    assert (settings.size, settings.max_age_s) == (4, 300.0)
    assert load(tmp_path, {"size": 6}).size == 6
    assert load_settings({}, environ={"HOME": "/h"}, cwd=tmp_path).parallel == 3


def test_the_users_wavepool_toml_is_read_where_there_is_none_here(tmp_path: Path) -> None:
    (tmp_path / "home/.config/wavepool").mkdir(parents=True)
    (tmp_path / "home/.config/wavepool/wavepool.toml").write_text("[pools]\nsize = 7\n")
    assert load(tmp_path, home=tmp_path / "home").size == 7
    assert load(tmp_path).size == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pools.yaml", "poolSize: 4\npools:\n  coder: {maxContainerAge: 300000}\n"),
        ("pools.json", '{"poolSize": 4, "pools": {"coder": {"maxContainerAge": 300000}}}'),
        ("pools.toml", "poolSize = 4\n[pools.coder]\nmaxContainerAge = 300000\n"),
    ],
)
def test_a_file_of_its_own_beats_wavepool_toml(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "wavepool.toml").write_text("[pools]\nsize = 9\nmin_size = 9")
    (tmp_path / name).write_text(text)
    settings = load(tmp_path, file=name)
    assert (settings.size, settings.min_size, settings.max_age_s) == (4, 1, 300.0)


def test_a_workspace_counts_from_its_file_and_an_option_from_here(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/p.yaml").write_text("coder: {workspace: ../src, environment: {workspace: x}}\n")
    config = load_pools({}, environ={}, cwd=tmp_path, file="conf/p.yaml")
    assert config.of("coder").agent.workspace == str(tmp_path / "conf/../src")
    assert config.of("coder").agent.env["workspace"] == "x"
    config = load_pools({"workspace": "src"}, environ={}, cwd=tmp_path, file="conf/p.yaml")
    assert config.of("coder").agent.workspace == str(tmp_path / "src")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.yaml", b"size: [", "p.yaml: got line 1, column 8, expected valid YAML"),
        ("p.yaml", b"- coder", "p.yaml: got ['coder'], expected settings of pools by name"),
        ("p.toml", b"size = ", "expected TOML"),
        ("p.toml", b"\xff", "expected TOML"),
        ("p.yaml", b"size: 2\nsize: 3", "stands twice"),
        ("p.yaml", b"size: -1", "p.yaml: size: got -1"),
        ("missing.yaml", None, "cannot read"),
        ("wavepool.toml", b"pools = 3", "expected settings of pools by name"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WavepoolError) as caught:
        load(tmp_path, file=None if name == "wavepool.toml" else name)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("# nothing yet\n")
    assert load(tmp_path, file="p.yaml") == PoolSettings()
