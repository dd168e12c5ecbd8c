"""`python -m infra.restore`: a month comes back as it was, or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common import archive
from infra import restore
from tests.conftest import database, deployed, run
from tests.months import MARCH, rows, watched_in


@pytest.fixture
def own_url(server_url: str, tmp_path: Path, deployment: None) -> Iterator[str]:
    with database(server_url) as url, deployed(DATABASE_URL=url, ARCHIVE_URL=f"file://{tmp_path}/archive"):
        yield url


def test_a_month_comes_back_row_by_row_as_it_was_and_takes_progress_again(own_url: str) -> None:
    viewer = watched_in(MARCH)
    before = rows(own_url)
    archive.run()
    assert not rows(own_url)

    assert restore.main(["2024-03"]) == 0

    assert rows(own_url) == before
    assert run(own_url, "SELECT count(*) FROM watch_session WHERE archived_at IS NOT NULL") == [[0]]
    assert viewer.watch((90, 95))["late"] is True


def test_restored_and_archived_again_it_can_come_back_again(own_url: str) -> None:
    watched_in(MARCH)
    before = rows(own_url)
    archive.run()
    restore.main(["2024-03"])

    again = archive.run()

    assert again.months == ["2024-03"]
    assert not rows(own_url)
    assert restore.main(["2024-03"]) == 0
    assert rows(own_url) == before


@pytest.mark.parametrize("harm", ["damaged", "cut off", "gone"])
def test_from_a_file_that_is_not_as_it_was_written_nothing_is_restored(
    own_url: str, tmp_path: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    watched_in(MARCH)
    archive.run()
    file = max(tmp_path.rglob("*.parquet"), key=lambda path: path.stat().st_size)
    content = file.read_bytes()
    match harm:
        case "damaged":
            file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        case "cut off":
            file.write_bytes(content[:-1])
        case "gone":
            file.unlink()

    assert restore.main(["2024-03"]) == 1

    assert "damaged or missing" in capsys.readouterr().err
    assert not rows(own_url)


def test_a_month_that_is_not_archived_is_refused(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    watched_in(MARCH)

    assert restore.main(["2024-03"]) == 1

    assert "not restored: none of its sessions is archived" in capsys.readouterr().err


def test_a_dry_run_changes_nothing(own_url: str) -> None:
    watched_in(MARCH)
    archive.run()

    assert restore.main(["2024-03", "--dry-run"]) == 0

    assert not rows(own_url)
