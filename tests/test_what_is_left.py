"""The last test of every run, whichever tests were chosen: conftest sees to that."""

import pytest

from infra import recount


def test_what_the_tests_left_behind_is_recounted_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code = recount.main([])

    assert code == 0, capsys.readouterr().out
