"""Manifests: what is read of them, and what is refused."""

from __future__ import annotations

import json

import pytest

from wavepool.engine.steps.manifest import Entry, parse_manifest, unmatched
from wavepool.errors import InputError
from wavepool.model import AttemptId, Handle

FULL_ID = "0123456789abcdef" * 4


def manifest_of(document: object) -> bytes:
    return json.dumps(document).encode()


def handle(container_id: str = FULL_ID, name: str = "cfn-wave1-a-0123") -> Handle:
    return Handle(driver="docker", id=container_id, name=name, attempt=AttemptId("a", 1))


def test_the_seeds_own_example_is_read() -> None:
    raw = manifest_of(
        {"wave_number": 1, "containers": [{"container_id": "abc123", "batch_id": "batch-1", "memory_limit": "512m"}]}
    )
    manifest = parse_manifest(raw, "spawned.json")
    assert manifest.wave == 1
    assert manifest.entries == (Entry(container_id="abc123", batch_id="batch-1", memory_limit="512m", wave=1),)


def test_older_names_missing_fields_and_a_byte_order_mark_are_accepted() -> None:
    raw = b"\xef\xbb\xbf" + manifest_of({"wave": 7, "containers": [{"id": "abc"}, {"container_id": "def", "x": [1]}]})
    manifest = parse_manifest(raw, "m")
    assert manifest.wave == 7
    assert [(entry.container_id, entry.batch_id) for entry in manifest.entries] == [("abc", None), ("def", None)]


def test_a_manifest_may_say_no_wave_and_have_no_containers() -> None:
    manifest = parse_manifest(manifest_of({"containers": []}), "m")
    assert manifest.wave is None
    assert manifest.only(3).entries == ()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty file"),
        (b"  \n", "empty file"),
        (b"\xff\xfe{", "UTF-8"),
        (b'{"containers": [', "no JSON"),
        (b"[" * 100_000, "m: got"),
        (b"[]", "JSON object"),
        (b"{}", "containers: got nothing, expected a list"),
        (b'{"containers": {}}', "containers: got {}, expected a list"),
        (b'{"containers": ["abc"]}', "containers[0]: got 'abc'"),
        (b'{"containers": [{"batch_id": "b"}]}', "containers[0].container_id: got nothing"),
        (b'{"containers": [{"container_id": 5}]}', "containers[0].container_id: got 5"),
        (b'{"containers": [{"container_id": "../../etc"}]}', "containers[0].container_id"),
        (b'{"containers": [{"container_id": "-rf"}]}', "containers[0].container_id"),
        (b'{"containers": [{"id": "a"}, {"id": "a"}]}', "containers[0] has it already"),
        (b'{"wave_number": "1", "containers": []}', "wave_number: got '1'"),
        (b'{"wave_number": true, "containers": []}', "wave_number: got True"),
        (b'{"wave": -1, "containers": []}', "wave: got -1"),
        (b'{"containers": [{"id": "a", "timeout": 0}]}', "containers[0].timeout: got 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(raw: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_manifest(raw, "m")
    assert words in str(caught.value)
    assert str(caught.value).startswith("m: ")
    assert caught.value.exit_code == 2


def test_a_wave_number_selects_and_another_waves_manifest_is_refused() -> None:
    raw = manifest_of({"containers": [{"id": "a", "wave": 1}, {"id": "b", "wave_number": 10}, {"id": "c"}]})
    manifest = parse_manifest(raw, "m")
    assert [entry.container_id for entry in manifest.only(1).entries] == ["a", "c"]
    other = parse_manifest(manifest_of({"wave_number": 1, "containers": [{"id": "a"}]}), "m")
    with pytest.raises(InputError, match="got 10, expected a wave of m: 1"):
        other.only(10)


@pytest.mark.parametrize(
    ("reference", "means"),
    [
        (FULL_ID, True),
        (FULL_ID[:12], True),
        ("cfn-wave1-a-0123", True),
        (FULL_ID[:11], False),
        ("cfn-wave1-a", False),
        (FULL_ID[:-1] + "0", False),
    ],
)
def test_an_entry_means_a_container_by_id_short_id_or_name(reference: str, means: bool) -> None:
    entry = Entry(container_id=reference)
    assert entry.means(handle()) is means
    assert (unmatched([entry], [handle()]) == []) is means
