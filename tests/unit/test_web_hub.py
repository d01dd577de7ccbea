"""The hub and its outboxes: one encoding for all, bounded queues, and a slow client that gets the newest."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counting_channels import Source
from wavepool.errors import InputError
from wavepool.web.sockets import hub as hubs
from wavepool.web.sockets.hub import CHANNELS, CLIENTS, SETTLED_AT, Hub, TooMany
from wavepool.web.sockets.outbox import BYTES, MESSAGES, Outbox

pytestmark = pytest.mark.anyio


async def read(hub: Hub, outbox: Outbox) -> list[dict[str, Any]]:
    """All that is to be sent now."""
    found = []
    with anyio.move_on_after(0.01):
        while True:
            kind, text = await outbox.next()
            message = text if kind == "text" else hub.document(text)
            if message is not None:
                found.append(json.loads(message))
    return found


def tick(hub: Hub) -> None:
    for each in list(hub._followed.values()):
        hub._tick(each)


def applied(messages: list[dict[str, Any]]) -> Mapping[str, Any]:
    """What a client has after these messages of one channel; a patch of nothing is a fault."""
    document: dict[str, Any] | None = None
    seq = None
    for each in messages:
        if "document" in each:
            document = dict(each["document"])
        else:
            assert document is not None
            assert each["seq"] == (seq or 0) + 1, "a gap without a document"
            document |= each["patch"]
        seq = each["seq"]
    assert document is not None
    return document


async def test_a_client_gets_the_document_and_then_each_change() -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        assert await read(hub, outbox) == [{"channel": "overview", "seq": 0, "document": {"n": 0}}]
        for number in (1, 2):
            source.overview.now["n"] = number
            tick(hub)
        tick(hub)
        assert await read(hub, outbox) == [
            {"channel": "overview", "seq": 1, "patch": {"n": 1}},
            {"channel": "overview", "seq": 2, "patch": {"n": 2}},
        ]
        hub.unfollow(outbox, "overview")
        source.overview.now["n"] = 3
        tick(hub)
        assert await read(hub, outbox) == []


async def test_all_clients_get_the_very_same_text() -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as one, hub.client() as two:
        for outbox in (one, two):
            await hub.follow(outbox, "overview")
            await read(hub, outbox)
        assert source.overview.asked == 1, "the document is encoded once for both"
        source.overview.now["n"] = 1
        tick(hub)
        assert (await one.next())[1] is (await two.next())[1]


async def test_one_who_comes_later_begins_where_the_others_are() -> None:
    source = Source()
    hub = Hub(source)
    source.overview.now["n"] = 5
    tick(hub)
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        source.overview.now["n"] = 6  # not told yet: it must not be in the document and in a patch
        assert await read(hub, outbox) == [{"channel": "overview", "seq": 1, "document": {"n": 5}}]
        tick(hub)
        assert await read(hub, outbox) == [{"channel": "overview", "seq": 2, "patch": {"n": 6}}]


async def test_a_change_before_the_document_was_sent_is_in_it_and_in_no_patch() -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        source.overview.now["n"] = 1
        tick(hub)
        assert await read(hub, outbox) == [{"channel": "overview", "seq": 1, "document": {"n": 1}}]


async def test_a_run_is_open_while_somebody_follows_it() -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as one:
        with hub.client() as two:
            async with anyio.create_task_group() as group:
                group.start_soon(hub.follow, one, "run:a")
                group.start_soon(hub.follow, two, "run:a")
            await hub.follow(two, "run:a")
            assert source.opened == ["+a"]
            hub.unfollow(one, "run:a")
            assert source.opened == ["+a"]
            hub.unfollow(one, "run:a")
            hub.unfollow(one, "run:never")
        assert (source.opened, hub.followed, hub.clients) == (["+a", "-a"], ["overview"], 1)
        await hub.follow(one, "run:a")
    assert (source.opened, hub.followed, hub.clients) == (["+a", "-a", "+a", "-a"], ["overview"], 0)


async def test_a_run_that_is_not_there_leaves_nothing_open() -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as outbox:
        with pytest.raises(InputError):
            await hub.follow(outbox, "run:unknown")
        assert (outbox.channels, hub.followed, hub._opening) == (set(), ["overview"], {})


async def test_clients_and_channels_have_bounds() -> None:
    hub = Hub(Source())
    with hub.client() as outbox:
        for number in range(CHANNELS):
            await hub.follow(outbox, f"run:{number}")
        with pytest.raises(TooMany):
            await hub.follow(outbox, "run:one more")
    held = [hub.client() for _ in range(CLIENTS)]
    for each in held:
        each.__enter__()
    with pytest.raises(TooMany, match=str(CLIENTS)), hub.client():
        pass
    held[0].__exit__(None, None, None)
    with hub.client():
        pass


async def test_a_client_that_does_not_read_holds_a_bounded_amount_and_then_gets_the_newest() -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        await hub.follow(outbox, "run:a")
        first = await read(hub, outbox)
        for number in range(1, 10 * MESSAGES):
            source.overview.now = {"n": number}
            source.runs["a"].now = {"n": -number}
            tick(hub)
            assert len(outbox._waiting) <= MESSAGES
        assert outbox.overruns > 0
        messages = first + await read(hub, outbox)
        assert len(messages) < MESSAGES + 10
        for channel, number in (("overview", 1), ("run:a", -1)):
            mine = [each for each in messages if each["channel"] == channel]
            assert applied(mine) == {"n": number * (10 * MESSAGES - 1)}


async def test_what_waits_is_bounded_in_bytes_but_for_one_message() -> None:
    outbox = Outbox()
    outbox.tell("x" * (BYTES + 1))
    assert await outbox.next() == ("text", "x" * (BYTES + 1))
    outbox.tell("x" * (BYTES - 1))
    outbox.tell("xx")
    assert (outbox.overruns, outbox._size) == (1, 0)


async def test_a_sign_of_life_is_not_queued_behind_others() -> None:
    hub = Hub(Source())
    with hub.client() as outbox:
        hub._say_alive()
        hub._say_alive()
        (alive,) = await read(hub, outbox)
        assert alive["alive"].endswith("Z")


async def test_a_channel_that_fails_does_not_silence_the_others(logged: list[Mapping[str, Any]]) -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        await hub.follow(outbox, "run:a")
        await read(hub, outbox)
        source.overview.now = {"n": object()}
        source.runs["a"].now = {"n": 1}
        tick(hub)
        assert [each["channel"] for each in await read(hub, outbox)] == ["run:a"]
    assert [each["channel"] for each in logged] == ["overview"]


async def test_text_that_is_no_unicode_is_told_with_what_stands_for_it() -> None:
    source = Source()
    hub = Hub(source)
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        await read(hub, outbox)
        source.overview.now = {"n": 1, "odd\udcff": ["\udcff", "schön"]}
        tick(hub)
        (told,) = await read(hub, outbox)
        assert told["patch"] == {"n": 1, "odd\ufffd": ["\ufffd", "schön"]}
        outbox.follow("overview")
        (told,) = await read(hub, outbox)
        assert told["document"]["n"] == 1


async def test_the_hub_ticks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "TICK_S", 0.001)
    monkeypatch.setattr(hubs, "ALIVE_S", 0.002)
    source = Source()
    hub = Hub(source)
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        async with anyio.create_task_group() as group:
            group.start_soon(hub.run)
            assert await outbox.next() == ("document", "overview")
            source.overview.now["n"] = 1
            kinds = set()
            with anyio.fail_after(20):
                while kinds < {"patch", "alive"}:
                    kinds |= json.loads((await outbox.next())[1]).keys()
            group.cancel_scope.cancel()


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["change", "tick", "read one", "read all", "leave", "follow"]), max_size=200))
async def test_whoever_reads_whenever_has_the_newest_at_the_end(steps: list[str]) -> None:
    source = Source()
    hub = Hub(source)
    mine: list[dict[str, Any]] = []
    with hub.client() as outbox:
        await hub.follow(outbox, "overview")
        for number, step in enumerate(steps):
            if step == "change":
                source.overview.now = {"n": number, f"k{number % 3}": number}
            elif step == "tick":
                tick(hub)
            elif step == "leave":
                hub.unfollow(outbox, "overview")
            elif step == "follow" and "overview" not in outbox.channels:
                await hub.follow(outbox, "overview")
            elif step.startswith("read"):
                while outbox._waiting or outbox._stale:
                    kind, text = await outbox.next()
                    message = text if kind == "text" else hub.document(text)
                    assert message is not None
                    mine.append(json.loads(message))
                    if step == "read one":
                        break
        await hub.follow(outbox, "overview")
        tick(hub)
        mine += await read(hub, outbox)
    last = max(place for place, each in enumerate(mine) if "document" in each)
    assert applied(mine[last:])["n"] == source.overview.now["n"]


async def test_the_collector_passes_over_clients_that_are_there() -> None:
    hub = Hub(Source())
    before = gc.get_freeze_count()
    with contextlib.ExitStack() as clients:
        for _ in range(SETTLED_AT):
            clients.enter_context(hub.client())
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0
