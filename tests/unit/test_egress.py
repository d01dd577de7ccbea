"""Hosts that sealed tasks may reach, as they are written; the proxy made of them; what its log says that it refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import yaml

from wavepool.drivers.docker.building import packed
from wavepool.engine.attempts.egress import EGRESS, TOLD_MOST, proxy_environment, refusals, sealed_sidecar
from wavepool.errors import SettingError
from wavepool.images import recipe
from wavepool.inputs.egress import parse_egress_host
from wavepool.wiring.images import AGENT_TAGS


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("api.example.com", "api.example.com:443"),
        (" API.Example.com. ", "api.example.com:443"),
        (".example.com", ".example.com:443"),
        ("*.example.com:8443", ".example.com:8443"),
        ("private:models.example:8080", "private:models.example:8080"),
        ("host.docker.internal:11434", "private:host.docker.internal:11434"),
        ("10.0.0.5:80", "private:10.0.0.5:80"),
        ("169.254.169.254", "private:169.254.169.254:443"),
        ("8.8.8.8", "8.8.8.8:443"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example:443"),
    ],
)
def test_hosts_are_read(text: str, means: str) -> None:
    assert parse_egress_host(text).rule == means
    assert parse_egress_host(str(parse_egress_host(text))) == parse_egress_host(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "*", "https://example.com", "example.com/path", "example.com:", "example.com:0", "example.com:65536",
     "example.com:http", "a b", "-x.example", "::1", "[::1]:443", "localhost", "localhost:80", "127.0.0.1:80",
     "0.0.0.0", "2130706433", "0x7f.1", "127.1", "private:", "user@example.com", "example..com", "a.b\nacl x src all"],
)  # fmt: skip
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse_egress_host(text)


def test_the_sidecar_is_given_each_host_once_and_has_a_way_out() -> None:
    made = sealed_sidecar(["b.example", "a.example:8443", "B.example:443"])
    assert made.command == ("b.example:443", "a.example:8443")
    assert (made.name, made.outside, made.read_only) == (EGRESS, True, True)


def test_variables_lead_to_the_proxy_but_not_to_other_sidecars() -> None:
    found = proxy_environment(["db", EGRESS])
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://egress:3128"
    assert found["NO_PROXY"].split(",")[-1] == "db"


def test_refusals_are_counted_and_only_they_are(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(
        b"2026/01/01 00:00:00| Starting\nallowed CONNECT good.example:443\ndenied CONNECT bad.example:443\n"
        b"denied CONNECT bad.example:443\ndenied GET http://bad.example/a/b\nprivate CONNECT in.example:443\n"
        b"stranger CONNECT x.example:443\ndenied \xff\n"
    )
    found = refusals(log)
    assert found is not None
    assert found.reason == (
        "it refused bad.example:443 (2 times), http://bad.example: not among the hosts that this task may reach "
        "(--egress HOST[:PORT]); and in.example:443: lead into a private network "
        "(--egress private:HOST[:PORT], if that is meant)"
    )


def test_no_refusal_is_no_trouble_and_many_are_bounded(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"allowed CONNECT good.example:443\n")
    assert refusals(log) is None
    log.write_bytes(b"".join(b"denied CONNECT h%d.example:443\n" % n for n in range(TOLD_MOST + 5)))
    assert "5 more" in str(refusals(log))
    log.write_bytes(b"denied CONNECT " + b"x" * 100_000 + b":443\n")
    assert len(str(refusals(log))) < 2000


@pytest.mark.parametrize("name", ["agent", "egress"])
def test_recipes_are_found_from_the_installed_package(name: str) -> None:
    found = recipe(name)
    assert found["Dockerfile"].startswith(b"#")
    assert b"ARG BASE=" in found["Dockerfile"]


def test_the_compose_file_builds_the_same_recipe() -> None:
    path = Path(__file__).parents[2] / "examples" / "compose.yaml"
    service = yaml.safe_load(path.read_text())["services"]["orchestrator-base"]
    assert service["image"] in AGENT_TAGS["claude"]
    context = (path.parent / service["build"]["context"]).resolve()
    found = {each.name: each.read_bytes() for each in context.iterdir() if each.is_file()}
    assert found == recipe("agent")


def test_a_context_is_the_same_archive_whenever_it_is_packed() -> None:
    one, other = packed({"b": b"2", "Dockerfile": b"1"}), packed({"Dockerfile": b"1", "b": b"2"})
    assert one == other
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        assert archive.getnames() == ["Dockerfile", "b"]
