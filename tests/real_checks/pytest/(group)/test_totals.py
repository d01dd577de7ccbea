import warnings

import pytest
from ledger import Ledger


@pytest.fixture
def broken():
    raise RuntimeError("the fixture does not work")


@pytest.fixture
def leaking():
    yield 1
    raise RuntimeError("nor does its end")


@pytest.mark.parametrize("amount", [1, -1, 0], ids=["one [1]", "minus one - sad", "zero"])
def test_total(amount):
    print("FAILED test_never.py::test_never - not a failure")
    print("E   not an error")
    ledger = Ledger()
    ledger.add(amount)
    assert ledger.total() == amount


def test_in_set_up(broken):
    pass


def test_in_tear_down(leaking):
    warnings.warn("a warning", stacklevel=1)


@pytest.mark.xfail
def test_known():
    raise AssertionError


@pytest.mark.skip(reason="not now")
def test_skipped():
    raise AssertionError
