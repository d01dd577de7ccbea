import not_there_at_all


def test_never():
    assert not_there_at_all
