"""The language of simulated tasks is read leniently, and never silently."""

from __future__ import annotations

from wavepool.drivers.memory import Script
from wavepool.units import MIB


def test_words_set_what_they_say() -> None:
    script = Script.parse(("sim", "duration=1.5", "exit=3", "memory=64m", "ignore_term", "on_term=0", "term_delay=2"))
    assert script == Script(
        duration_s=1.5, code=3, memory_bytes=64 * MIB, ignores_term=True, term_code=0, term_delay_s=2.0
    )


def test_output_is_percent_encoded_and_may_repeat() -> None:
    script = Script.parse(("sim", "stdout=a%00%FF", "stderr=b", "stdout=c=d"))
    assert script.writes == (("stdout", b"a\x00\xff"), ("stderr", b"b"), ("stdout", b"c=d"))


def test_a_shell_call_is_read_as_its_words() -> None:
    assert Script.parse(("/bin/sh", "-c", "sim duration=2 stdout='a b'")) == Script(
        duration_s=2.0, writes=(("stdout", b"a b"),)
    )


def test_what_is_not_understood_is_a_missing_program() -> None:
    for argv in (("/no/such",), (), ("sim", "durration=1"), ("sim", "exit=x"), ("sh", "-c", "sim 'open"), ("sh", "-c")):
        script = Script.parse(argv)
        assert script.code == 127
        assert [stream for stream, _ in script.writes] == ["stderr"]
