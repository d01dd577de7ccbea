"""Results: whole or not at all, on stdout alone."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from wavepool.cli.output import check_output, print_result, progress_line, write_json
from wavepool.errors import InputError, SettingError


def test_a_result_is_one_json_object_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"batch_id": "a\n\x1b[2J\udce9ü", "n": 1}
    print_result(value)
    out, err = capsys.readouterr()
    assert json.loads(out) == value
    assert out.isascii()
    assert err == ""


def test_progress_has_a_time_and_can_not_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    progress_line("one\ntwo \x1b[2J")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two \\x1b[2J"]
    assert lines[0][:2] == "20"


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(0o640)
    write_json(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.json"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target.json").write_text("old")
    (tmp_path / "link.json").symlink_to("target.json")
    write_json(tmp_path / "link.json", {"a": 1})
    assert json.loads((tmp_path / "target.json").read_text()) == {"a": 1}
    assert (tmp_path / "link.json").is_symlink()


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    check_output(pipe)
    write_json(pipe, {"a": 1})
    reader.join(timeout=10)
    assert json.loads(read[0]) == {"a": 1}


def test_where_nothing_can_be_written_is_told_before_and_after(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "none" / "r.json"):
        with pytest.raises(SettingError, match="--output"):
            check_output(wrong)
    check_output(None)
    check_output(tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="the result is on stdout"):
        write_json(tmp_path / "none" / "r.json", {})
