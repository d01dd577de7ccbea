"""JSON lines, from the facts of simulated runs, through real pipes."""

from __future__ import annotations

import io
import json
import os
import threading
from dataclasses import replace
from typing import Any

import pytest

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.listeners.jsonl import MASK, JsonLinesListener, masked
from wavepool.model import Limits, SecretSource, Surroundings, Task, Wave
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import random_scenario
from wavepool.units import GIB

DEADLINE_S = 30


def written(stamped: tuple[Stamped, ...], result: dict[str, object] | None = None) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    with JsonLinesListener(stream) as listener:
        listener.on_facts(stamped)
        if result is not None:
            assert listener.finish(result) == 0
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("seed", range(20))
def test_each_fact_is_one_line_in_order(seed: int) -> None:
    journal = Simulation(random_scenario(seed)).run().journal
    said = written(journal, {"status": "success"})
    assert [line["seq"] for line in said[:-1]] == list(range(1, len(journal) + 1))
    assert [line["kind"] for line in said[:-1]] == [type(stamped.fact).__name__ for stamped in journal]
    assert said[-1] == {"status": "success"}
    settled = [line for line in said if line.get("kind") == "AttemptSettled"]
    for line, stamped in zip(settled, [s for s in journal if isinstance(s.fact, facts.AttemptSettled)], strict=True):
        assert isinstance(stamped.fact, facts.AttemptSettled)
        assert line["attempt"] == list(stamped.fact.attempt)
        assert line["verdict"]["kind"] == stamped.fact.verdict.kind.value
        assert line["at"].endswith("Z")


def with_values() -> tuple[Stamped, ...]:
    journal = Simulation(random_scenario(1)).run().journal
    opened = journal[0].fact
    assert isinstance(opened, facts.RunOpened)
    around = Surroundings(
        image="i",
        workspace="/w",
        network="n",
        env={"API_KEY": "hunter2"},
        secrets=(SecretSource(name="TOKEN", kind="env", source="MY_TOKEN"),),
    )
    task = Task(
        id="\ud800\x1b",
        key="k",
        wave=1,
        tier=1,
        limits=Limits(memory_bytes=GIB),
        env={"PASSWORD": "hunter3"},
        extra={"odd": float("nan"), "deep": [{"inf": float("inf")}]},
    )
    added = facts.TasksAdded(waves=(Wave(number=1),), tasks=(task,))
    stamp = journal[0]
    return (
        Stamped(stamp.boot_s, stamp.utc, replace(opened, surroundings=around)),
        Stamped(stamp.boot_s, stamp.utc, added),
    )


def test_values_of_variables_are_masked_and_names_are_kept() -> None:
    opened, added = written(with_values())
    assert opened["surroundings"]["env"] == {"API_KEY": MASK}
    assert opened["surroundings"]["secrets"] == [{"name": "TOKEN", "kind": "env", "source": "MY_TOKEN"}]
    assert added["tasks"][0]["env"] == {"PASSWORD": MASK}
    assert "hunter" not in json.dumps([opened, added])


def test_what_json_cannot_say_is_said_otherwise() -> None:
    added = written(with_values())[1]
    assert added["tasks"][0]["id"] == "\ud800\x1b"
    assert added["tasks"][0]["extra"] == {"odd": None, "deep": [{"inf": None}]}


def test_masking_leaves_other_facts_as_they_are() -> None:
    fact = facts.TaskSettled(task_id="t")
    assert masked(fact) is fact


def settled(count: int) -> list[Stamped]:
    stamp = Simulation(random_scenario(1)).run().journal[0]
    return [Stamped(stamp.boot_s, stamp.utc, facts.TaskSettled(task_id=f"t{n}" * 20)) for n in range(count)]


def test_a_slow_reader_misses_facts_and_never_the_result() -> None:
    reading, writing = os.pipe()
    with open(writing, "wb") as stream, open(reading, "rb") as reader:
        listener = JsonLinesListener(stream, bound=100)
        for stamped in settled(5_000):  # far more than the pipe and the bound hold; nobody reads yet
            listener.on_facts([stamped])
        dropped: list[int] = []
        finishing = threading.Thread(target=lambda: dropped.append(listener.finish({"end": True}, flush_s=0.05)))
        finishing.start()
        said = [json.loads(reader.readline())]
        while "end" not in said[-1]:
            said.append(json.loads(reader.readline()))
        finishing.join(DEADLINE_S)
    assert not finishing.is_alive()
    assert said[-1] == {"end": True}
    assert len(said) - 1 == 5_000 - dropped[0]
    assert 0 < dropped[0] < 5_000
    seqs = [line["seq"] for line in said[:-1]]
    assert seqs == sorted(set(seqs))


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    stream = open(writing, "wb")  # noqa: SIM115 closed below, which must not raise either
    listener = JsonLinesListener(stream)
    os.close(reading)
    listener.on_facts(settled(2_000))
    assert listener.finish({"end": True}) > 0
    stream.close()


def test_closing_twice_and_closing_unused_is_harmless() -> None:
    stream = io.BytesIO()
    listener = JsonLinesListener(stream)
    assert listener.close() == 0
    assert listener.close() == 0
    assert stream.getvalue() == b""
    other = JsonLinesListener(stream)
    assert other.finish({"only": 1}) == 0
    assert other.close() == 0
    assert stream.getvalue() == b'{"only":1}\n'
