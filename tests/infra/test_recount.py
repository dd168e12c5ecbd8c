"""python -m infra.recount: whether the totals are what the raw rows come to."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID

import pytest

from infra import recount
from tests.conftest import Person, Viewer, database, deployed, end_as_stale, ok, run, seek, segment, stored

SESSION = "UPDATE watch_session SET {} WHERE user_id = :user_id AND status = 'closed'"
ATTEMPT = "UPDATE lesson_attempt SET {} WHERE user_id = :user_id"


@pytest.fixture(scope="module")
def url(server_url: str) -> Iterator[str]:
    """A database that may be damaged."""
    with database(server_url) as url, deployed(DATABASE_URL=url):
        yield url


@pytest.fixture
def watched(url: str, new_lesson: Callable[..., str]) -> Viewer:
    """Somebody with a session that was closed, one that is stale and one that is open."""
    viewer = Viewer(new_lesson(durationSecond=1000))
    viewer.start()
    viewer.record(segment(0, 10, 1.5), segment(5, 800, 2), segment(900, 901), seeks=[seek(10, 500), seek(500, 20)])
    viewer.record(segment(850, 880), segment(950, 999.999, 0.0625))
    viewer.close()
    viewer.start()
    viewer.record(segment(100, 200), seeks=[seek(0, 1000)])
    end_as_stale(viewer.session_id, viewer.user_id)
    viewer.start()
    viewer.watch((200, 300))
    return viewer


def test_totals_that_are_what_the_raw_rows_come_to_are_clean(
    watched: Viewer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recount.main(["--user", watched.user_id]) == 0
    assert capsys.readouterr() == ("1 users, 3 sessions, 1 attempts, 7 segments: clean\n", "")


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (SESSION, "coverage", "coverage - '{[100,101)}'"),
        (SESSION, "effective_ms", "effective_ms + 1"),
        (SESSION, "exceeds_wall_clock_ms", "exceeds_wall_clock_ms - 1"),
        (SESSION, "segment_count", "segment_count + 1"),
        (SESSION, "seek_count", "seek_count - 1"),
        (SESSION, "skip_count", "skip_count + 1"),
        (SESSION, "rewatched", "rewatched - '{[5000,6000)}'"),
        (SESSION, "jumped_over", "jumped_over + '{[0,1)}'"),
        (SESSION, "last_position_ms", "last_position_ms + 1"),
        (SESSION, "last_position_at", "last_position_at + interval '1 microsecond'"),
        (ATTEMPT, "coverage", "coverage + '{[890000,890001)}'"),
        (ATTEMPT, "effective_ms", "effective_ms - 1"),
        (ATTEMPT, "last_position_ms", "0"),
        (ATTEMPT, "last_position_at", "last_position_at - interval '1 microsecond'"),
    ],
)
def test_a_total_that_differs_is_told_and_can_be_fixed(
    url: str, watched: Viewer, capsys: pytest.CaptureFixture[str], table: str, column: str, value: str
) -> None:
    right = stored(url, watched.user_id)
    run(url, table.format(f"{column} = {value}"), user_id=watched.user_id)
    assert stored(url, watched.user_id) != right

    assert recount.main(["--user", watched.user_id]) == 1
    told, summary = capsys.readouterr().out.splitlines()
    assert told.startswith(f"user {watched.user_id}, {'session' if table is SESSION else 'attempt'} ")
    assert f": {column} is " in told and ", recounted " in told
    assert summary.endswith(": 1 values differ")

    assert recount.main(["--user", watched.user_id, "--fix"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{told}; fixed"
    assert stored(url, watched.user_id) == right
    assert recount.main(["--user", watched.user_id]) == 0


def test_a_raw_row_that_is_lost_shows_in_every_total_that_it_was_in(
    url: str, watched: Viewer, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        url,
        "DELETE FROM watch_segment WHERE user_id = :user_id AND start_ms IN (850000, 950000)",
        user_id=watched.user_id,
    )

    assert recount.main(["--user", watched.user_id]) == 1

    told = {line.partition(": ")[2].split(" is ")[0] for line in capsys.readouterr().out.splitlines()[:-1]}
    assert told == {
        "coverage",
        "effective_ms",
        "exceeds_wall_clock_ms",
        "segment_count",
        "last_position_ms",
        "last_position_at",
    }


def test_half_a_millisecond_that_was_rounded_the_wrong_way_is_told(
    url: str, watched: Viewer, capsys: pytest.CaptureFixture[str]
) -> None:
    watched.record(segment(0, 0.005, 2))
    run(
        url,
        "UPDATE watch_segment SET effective_ms = 3 WHERE user_id = :user_id AND end_ms = 5",
        user_id=watched.user_id,
    )

    assert recount.main(["--user", watched.user_id]) == 1
    assert "effective_ms is 3, recounted 2" in capsys.readouterr().out
    assert recount.main(["--user", watched.user_id, "--fix"]) == 0
    assert recount.main(["--user", watched.user_id]) == 0


def test_two_active_attempts_are_told_and_not_fixed(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with database(server_url) as url, deployed(DATABASE_URL=url):
        viewer = Viewer("a lesson")
        viewer.start()
        viewer.complete()
        viewer.start()
        run(url, "DROP INDEX at_most_one_active_attempt")
        run(url, "UPDATE lesson_attempt SET status = 'active', completed_at = NULL")
        capsys.readouterr()

        assert recount.main(["--fix"]) == 1
        *told, _ = capsys.readouterr().out.splitlines()

    assert [line.partition(": ")[2] for line in told] == [
        "status is active, recounted one of several active ones; not to be fixed from here"
    ] * 2


def test_rows_that_are_not_where_they_belong_are_told(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with database(server_url) as url, deployed(DATABASE_URL=url):
        viewer = Viewer("a lesson")
        viewer.start()
        viewer.watch((0, 1), (1, 2))
        month = f"{recount.began(UUID(viewer.session_id)):%Y%m}"
        run(url, f"ALTER TABLE watch_segment_{month} RENAME TO watch_segment_199901")
        run(
            url,
            "INSERT INTO watch_segment SELECT session_id, client_event_id, 'somebody', start_ms, end_ms, effective_ms,"
            " speed, occurred_at, recorded_at FROM watch_segment",
        )
        capsys.readouterr()

        assert recount.main([]) == 1
        moved, strayed, summary = capsys.readouterr().out.splitlines()

    session = f"session {viewer.session_id}"
    assert moved == (
        f"user {viewer.user_id}, {session}: partition is watch_segment_199901, recounted watch_segment_{month}"
    )
    assert strayed == f"user somebody, {session}: raw rows is 2, recounted no such session"
    assert summary.endswith(": 2 values differ")


def test_what_was_archived_counts_as_stored_in_its_attempt(
    url: str, watched: Viewer, capsys: pytest.CaptureFixture[str]
) -> None:
    user = {"user_id": watched.user_id}
    run(url, "UPDATE watch_session SET archived_at = now() WHERE user_id = :user_id AND status = 'closed'", **user)
    assert recount.main(["--user", watched.user_id]) == 0
    assert capsys.readouterr().out.endswith("7 segments: clean\n")

    for table in ("watch_segment", "seek_event"):
        run(
            url,
            f"DELETE FROM {table} AS e USING watch_session AS s WHERE s.user_id = :user_id"
            " AND e.session_id = s.session_id AND s.archived_at IS NOT NULL",
            **user,
        )
        assert recount.main(["--user", watched.user_id]) == 0
        assert capsys.readouterr().out.endswith(
            "2 segments: clean (1 archived sessions without their raw rows: as stored)\n"
        )

    run(url, ATTEMPT.format("effective_ms = 0"), **user)
    assert recount.main(["--user", watched.user_id]) == 1


def test_credit_is_counted_up_to_its_limit(
    url: str, new_lesson: Callable[..., str], service: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0.3))
    viewer.start()
    viewer.watch((10, 30), (40, 60))
    viewer.close()
    viewer.start()
    viewer.watch((0, 15))
    viewer.close()
    ok(service.send("PUT", viewer.assignment))
    viewer.start()
    viewer.watch((90, 95))
    viewer.close()
    attempt = "SELECT coverage::text FROM lesson_attempt WHERE user_id = :user_id"
    assert run(url, attempt, user_id=viewer.user_id) == [["{[0,30000),[90000,95000)}"]]

    assert recount.main(["--user", viewer.user_id]) == 0

    run(url, ATTEMPT.format("credit_limit_ms = credit_limit_ms + 1"), user_id=viewer.user_id)
    assert recount.main(["--user", viewer.user_id]) == 1
    assert "coverage is {[0,30000),[90000,95000)}, recounted {[0,30000),[40000,40001)," in capsys.readouterr().out


def test_however_small_the_pages_are_no_event_is_left_out(
    url: str, watched: Viewer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = [str(UUID(int=0)), str(UUID(int=2**128 - 1))]
    watched.record(*(segment(0, 1, clientEventId=event) for event in ends))
    monkeypatch.setattr(recount, "USERS_PAGE", 1)

    for size in (1, 2, 3, 9):
        monkeypatch.setattr(recount, "EVENTS_PAGE", size)
        assert recount.main(["--user", watched.user_id]) == 0
        assert ", 9 segments: clean" in capsys.readouterr().out
    recount.main([])
    [[users]] = run(url, "SELECT count(DISTINCT user_id) FROM lesson_attempt")
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{users} users, ")


def test_writers_are_never_taken_for_differences_nor_overwritten(url: str, watched: Viewer) -> None:
    def write(place: int) -> None:
        for second in range(25):
            watched.watch((place + second / 100, place + (second + 1) / 100))
        watched.close()
        for second in range(25, 50):
            watched.watch((place + second / 100, place + (second + 1) / 100))

    with ThreadPoolExecutor(4) as pool, closing(recount.Recount(url, fix=True)) as fixing:
        writers = [pool.submit(write, 600 + place) for place in range(4)]
        looks = 0
        while not all(writer.done() for writer in writers):
            assert fixing.look(watched.user_id).differences == []
            damaged = {"user_id": watched.user_id, "session_id": watched.session_id}
            run(
                url,
                "UPDATE watch_session SET segment_count = segment_count + 7, effective_ms = 0"
                " WHERE user_id = :user_id AND session_id = :session_id",
                **damaged,
            )
            fixed = fixing.user(watched.user_id)
            assert fixed.fixed >= 2 and fixed.wrong == 0
            looks += 1
        for writer in writers:
            writer.result()

    assert looks > 3
    assert recount.main(["--user", watched.user_id]) == 0
    [[segments]] = run(
        url, "SELECT segment_count FROM watch_session WHERE session_id = :session_id", session_id=watched.session_id
    )
    assert segments == 1 + 4 * 50


def test_on_a_terminal_there_is_a_progress_bar_and_otherwise_none(
    watched: Viewer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recount.main([])
    out, err = capsys.readouterr()
    assert err == ""

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    recount.main([])
    assert capsys.readouterr().out == out
    recount.main([])
    assert f"{'█' * 30} " in capsys.readouterr().err


def test_it_runs_as_a_program_with_its_exit_codes(url: str, watched: Viewer) -> None:
    def program(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "infra.recount", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "DATABASE_URL": url},
        )
        return done.returncode, done.stdout, done.stderr

    assert program("--user", watched.user_id)[0] == 0
    run(url, ATTEMPT.format("effective_ms = 0"), user_id=watched.user_id)
    assert program("--user", watched.user_id)[0] == 1
    assert program("--user", "nobody") == (2, "", "python -m infra.recount: nothing is recorded of the user 'nobody'\n")
    assert program("--users")[0] == 2


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("postgresql://nobody@/none?host=/nowhere", "No such file or directory"),
        ("postgresql://nobody@localhost:1/none", "port 1"),
        ("mysql://nobody@localhost/none", "a database URL is"),
    ],
)
def test_without_a_database_it_says_so_and_nobody_takes_that_for_a_difference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str, words: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", where)

    with pytest.raises(SystemExit) as ended:
        recount.main([])

    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("python -m infra.recount: ") and words in err
