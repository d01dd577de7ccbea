"""The file of samples: bounded, shared, private, and no run's concern when it is damaged."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from wavepool.engine.learner import Keeper
from wavepool.errors import InfrastructureError
from wavepool.learning import Sample, store
from wavepool.learning.store import Store
from wavepool.model import VerdictKind
from wavepool.wiring.learning import read_history


def sample(number=0, **fields):
    values = {"kind": "k", "twin": f"{number}", "tier": 1, "limit_bytes": 1 << 40, "verdict": VerdictKind.SUCCESS}
    return Sample(**{**values, "peak_bytes": number, **fields})


def peaks(place):
    return [each.peak_bytes for each in place.read()]


def test_what_is_added_is_read_in_its_order(tmp_path):
    place = Store(tmp_path / "state")
    assert place.read() == []
    assert not place.path.exists()
    one = sample(1, duration_s=1.5, start_s=0.0, end_s=None, own_oom=True, verdict=VerdictKind.OOM)
    place.add([one])
    place.add([])
    place.add([sample(2)])
    assert Store(tmp_path / "state").read() == [one, sample(2)]
    assert place.path.stat().st_mode & 0o777 == 0o600


def test_the_newest_of_each_twin_and_kind_and_of_all_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PER_TWIN", 2)
    monkeypatch.setattr(store, "PER_KIND", 4)
    monkeypatch.setattr(store, "IN_ALL", 6)
    place = Store(tmp_path)
    place.add([sample(n, twin="t") for n in range(5)])
    assert peaks(place) == [3, 4]
    for number in range(10, 15):
        place.add([sample(number)])
    assert peaks(place) == [11, 12, 13, 14]
    place.add([sample(n, kind=f"{n}") for n in range(20, 24)])
    assert peaks(place) == [13, 14, 20, 21, 22, 23]


def test_several_may_write_at_once(tmp_path):
    def write(first):
        for number in range(first, first + 20):
            Store(tmp_path).add([sample(number)])

    writers = [threading.Thread(target=write, args=(100 * n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(peaks(Store(tmp_path))) == sorted(n for k in range(4) for n in range(100 * k, 100 * k + 20))


@pytest.mark.parametrize("damage", ["garbage", "flipped", "newer", "foreign"])
def test_a_file_that_cannot_be_used_is_told_and_left_alone(tmp_path, damage):
    place = Store(tmp_path)
    place.add([sample(n) for n in range(200)])
    if damage == "garbage":
        place.path.write_bytes(b"no database at all" * 100)
    elif damage == "flipped":
        whole = bytearray(place.path.read_bytes())
        whole[4096:] = b"\xff" * (len(whole) - 4096)
        place.path.write_bytes(whole)
    else:
        with closing(sqlite3.connect(place.path)) as file:
            file.execute("PRAGMA user_version = 99" if damage == "newer" else "PRAGMA application_id = 1")
    before = place.path.read_bytes()
    with pytest.raises(InfrastructureError, match="cannot be used") as caught:
        place.read()
    assert "wavepool prune --learned" in str(caught.value)
    with pytest.raises(InfrastructureError):
        place.add([sample()])
    assert place.path.read_bytes() == before
    told = []
    assert read_history(tmp_path, told.append).samples == ()
    assert len(told) == 1
    assert place.drop() == len(before)
    place.add([sample(7)])
    assert peaks(place) == [7]


def test_dropping_nothing_frees_nothing(tmp_path):
    assert Store(tmp_path).drop() == 0


# -- the thread that keeps --


def test_the_keeper_keeps_all_before_it_is_left():
    kept, told = [], []
    with Keeper(kept.extend, told.append) as keeper:
        for number in range(2500):
            keeper.keep(sample(number))
    assert [each.peak_bytes for each in kept] == list(range(2500))
    assert told == []


def test_a_keeper_that_cannot_keep_says_so_once_and_goes_on():
    tried, told = [], []

    def add(samples):
        tried.append(samples)
        raise InfrastructureError("the disk is full", advice="Free some.")

    with Keeper(add, told.append) as keeper:
        keeper.keep(sample())
        while not tried:
            pass
    with Keeper(add, told.append):
        pass
    assert told == ["nothing is learned from this run: the disk is full\nFree some."]
