"""A FIFO or a link where the archive of a log should be is refused at once, and nobody waits for who never writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wavepool.errors import InfrastructureError
from wavepool.monitoring.logs.archive import read_part, size_of_log
from wavepool.reporting.tails import read_tail


def test_what_is_planted_as_an_archive_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    fifo, link, log = tmp_path / "fifo", tmp_path / "link", tmp_path / "log"
    os.mkfifo(fifo)
    log.write_bytes(b"said\n")
    link.symlink_to(log)
    for planted in (fifo, link, tmp_path):
        with pytest.raises(InfrastructureError, match="cannot be read"):
            size_of_log(planted)
        tail = read_tail(planted, 1)
        assert (tail.text, (tail.problem or "")[:22]) == ("", "its log cannot be read")
    assert "it is no regular file" in (read_tail(fifo, 1).problem or "")
    assert (read_part(log, 0, 10), read_tail(log, 1).text) == ((0, b"said\n", 5), "said")
