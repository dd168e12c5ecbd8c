"""Where the archive lies: a folder (`file:///…`), S3 (`s3://bucket/…`) or Cloud Storage (`gs://bucket/…`).

Paths are relative to that place. What fails is `ArchiveUnavailable`, whatever the store calls it.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
from pyarrow import fs

from common.errors import ArchiveUnavailable

RETRY_S = 20  # Cloud Storage's own default is a quarter of an hour
CHUNK = 1 << 20
REFUSALS = (OSError, pa.ArrowException)


class Sink:
    """A file that is being written, and what its bytes come to."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._stream.write(data)
        return len(data)

    def flush(self) -> None:
        """There is nothing between us and the stream."""


class Store:
    def __init__(self, url: str) -> None:
        with translated():
            self._files, self._root = fs.FileSystem.from_uri(within(url))
        self._is_folder = self._files.type_name == "local"

    @contextmanager
    def writing(self, path: str) -> Iterator[Sink]:
        """A file to write; it is there, whole and lasting, once the block has ended without an error."""
        with translated():
            if self._is_folder:
                self._files.create_dir(self._at(path).rpartition("/")[0], recursive=True)
            with self._files.open_output_stream(self._at(path), compression=None) as stream:
                yield Sink(stream)
            if self._is_folder:
                make_lasting(self._at(path))

    def write(self, path: str, data: bytes) -> None:
        with self.writing(path) as sink:
            sink.write(data)

    def read(self, path: str) -> bytes | None:
        """The bytes of a small file; None if there is none."""
        with translated(), suppress(FileNotFoundError), self._stream(path) as stream:
            data: bytes = stream.read()
            return data
        return None

    @contextmanager
    def reading(self, path: str) -> Iterator[pa.NativeFile]:
        """A file to read in any order."""
        with translated(), self._files.open_input_file(self._at(path)) as file:
            yield file

    def sha256(self, path: str) -> str | None:
        """What the bytes of a file come to, each of them read; None if there is none."""
        digest = hashlib.sha256()
        with translated(), suppress(FileNotFoundError), self._stream(path) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
            return digest.hexdigest()
        return None

    def list(self, folder: str) -> list[str]:
        """The paths of all files under a folder, in order."""
        with translated():
            found = self._files.get_file_info(fs.FileSelector(self._at(folder), recursive=True, allow_not_found=True))
        return sorted(f"{folder}{info.path[len(self._at(folder)) :]}" for info in found if info.is_file)

    def delete(self, path: str) -> None:
        with translated(), suppress(FileNotFoundError):
            self._files.delete_file(self._at(path))

    def _stream(self, path: str) -> pa.NativeFile:
        return self._files.open_input_stream(self._at(path), compression=None)

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        raise ArchiveUnavailable from error


def within(url: str) -> str:
    """The URL with a limit on how long Cloud Storage is asked again, unless it has one.

    >>> within("gs://bucket/archive")
    'gs://bucket/archive?retry_limit_seconds=20'
    >>> within("file:///archive")
    'file:///archive'
    """
    if not url.startswith(("gs:", "gcs:")) or "retry_limit_seconds" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}retry_limit_seconds={RETRY_S}"


def make_lasting(path: str) -> None:
    """See to it that a file and its name survive a power cut."""
    for name in (path, os.path.dirname(path)):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
