"""Landing files in an object store, found, opened and looked at as those on a disk are.

Credentials, region and endpoint are those that every S3 client reads: the variables
`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_DEFAULT_REGION` and
`AWS_ENDPOINT_URL`, `~/.aws`, or the role of the machine. Nothing is written to a store.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import pyarrow as pa

from headrace.errors import HeadraceError, Transient, UnreadableInput

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, S3FileSystem

_READ_BYTES = 8 << 20  # of one request; smaller ones spend their time on the way
_CONNECT_S = 5
_ATTEMPTS = 3
_REFUSED = re.compile("ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|CREDENTIAL|CLIENT|OPT_IN|NOT_AUTH")
_BUSY = re.compile(r"SLOW_DOWN|THROTTLING|TIMEOUT|UNAVAILABLE|INTERNAL_FAILURE|status 5\d\d")


class Stat(NamedTuple):
    """Size and time of an object, by the names of `os.stat_result`.

    The time is in whole seconds, the most that every request of a store tells.
    """

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class StoredFile:
    """An object in a store, with as much of `pathlib.Path` as reading a landing file takes."""

    url: str

    @property
    def key(self) -> PurePosixPath:
        """Its bucket and what follows, as pyarrow names an object."""
        return key(self.url)

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.name

    @property
    def suffix(self) -> str:
        """The end of its name, such as `.gz`."""
        return self.key.suffix

    def as_posix(self) -> str:
        """Its URL."""
        return self.url

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Opens it for reading from start to end, in requests of 8 MiB.

        Raises:
            FileNotFoundError: It is not there.
            Transient: The store cannot be reached.
            UnreadableInput: The store refuses.
        """
        assert mode == "rb"  # noqa: S101 - the one mode there is
        return io.BufferedReader(self.open_raw(), _READ_BYTES)

    def open_raw(self) -> io.RawIOBase:
        """Opens it for reading here and there: each read is a request. Raises as `open` does."""
        with _told(self.url):
            return _Reader(self.url, _client(_endpoint()).open_input_file(str(self.key)))

    def stat(self) -> Stat:
        """Its size and time now. Raises as `open` does."""
        with _told(self.url):
            info = _client(_endpoint()).get_file_info(str(self.key))
            if not info.is_file:
                raise FileNotFoundError
        return _stat(info)


Place: TypeAlias = Path | StoredFile


def place(path: str) -> Place:
    """The file of a path or URL."""
    return StoredFile(path) if is_url(path) else Path(path)


def is_url(path: str) -> bool:
    """Whether a path, or a glob, lies in an object store."""
    return "://" in path


def key(url: str) -> PurePosixPath:
    """The bucket and what follows in a URL, or in a glob."""
    return PurePosixPath(url.partition("://")[2])


def find(pattern: str, folder: PurePosixPath) -> list[tuple[StoredFile, Stat]]:
    """The objects whose URL matches a glob, in order of name; one listing, no request for each.

    Args:
        pattern: As `glob.glob` reads it: `**` stands for any number of folders.
        folder: The bucket and what follows, before the first wildcard; what lies below is listed.

    Raises:
        Transient: The store cannot be reached.
        UnreadableInput: There is no such bucket, or the store refuses.
    """
    from pyarrow.fs import FileSelector

    below = key(pattern).parts[len(folder.parts) :]
    recursive = len(below) > 1 or below == ("**",)
    with _told(pattern):
        try:
            infos = _client(_endpoint()).get_file_info(
                FileSelector(str(folder), recursive=recursive)
            )
        except FileNotFoundError:  # a store has no folders: nothing of that name was delivered
            infos = []
    return [
        (StoredFile(f"s3://{info.path}"), _stat(info))
        for info in sorted(infos, key=lambda info: info.path)
        if info.is_file and _matches(PurePosixPath(info.path).relative_to(folder).parts, below)
    ]


class _Reader(io.RawIOBase):
    """An open object as Python reads files; its errors say what the store said."""

    def __init__(self, url: str, file: pa.NativeFile) -> None:
        self._url, self._file = url, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # it is always one
        with _told(self._url):
            return int(self._file.readinto(buffer))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def _stat(info: FileInfo) -> Stat:
    return Stat(info.size, info.mtime_ns // 10**9 * 10**9)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """As `glob.glob` does: a wildcard does not stand for a name that starts with a dot."""
    if not pattern or not parts:
        return not parts and set(pattern) <= {"**"}
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (not hidden and _matches(parts[1:], pattern))
    return not hidden and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


@cache  # it holds the connections
def _client(endpoint: str | None) -> S3FileSystem:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    return S3FileSystem(
        endpoint_override=endpoint,  # pyarrow itself reads the variable for `from_uri` only
        connect_timeout=_CONNECT_S,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Tells an error of a store in our words; an object that is not there, as a disk would."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from None
    except OSError as error:
        raise _problem(str(error), url) from error
    except ValueError as error:  # of which pyarrow's own are some
        message, hint = (
            "the object store cannot be read",
            "is AWS_ENDPOINT_URL as http://host:port?",
        )
        raise UnreadableInput(message, path=url, hint=hint) from error


def _host(endpoint: str) -> str | None:
    try:
        return urlsplit(endpoint).hostname
    except ValueError:
        return None


def _problem(told: str, url: str) -> HeadraceError:
    """Only the code of the store's answer is repeated, and no more: it may quote a request."""
    found = re.search(r"AWS Error (\w+)", told)
    code = found[1] if found else "UNKNOWN"
    endpoint = _host(_endpoint() or "")
    if code == "NO_SUCH_BUCKET":
        message, hint = "there is no such bucket", "mend `path` of the source, or AWS_ENDPOINT_URL"
        return UnreadableInput(message, path=url, endpoint=endpoint, hint=hint)
    if code == "NETWORK_CONNECTION":
        message = "the object store cannot be reached"
        hint = "look at the network and at AWS_ENDPOINT_URL, and run again"
        return Transient(message, path=url, endpoint=endpoint, hint=hint)
    if _BUSY.search(told):
        message, hint = "the object store is busy or out of order", "run again later"
        return Transient(message, path=url, endpoint=endpoint, answer=code, hint=hint)
    if _REFUSED.search(code):
        message = "the object store does not let us read"
        hint = (
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of a user that may list the bucket "
            "and get its objects"
        )
    else:
        message, hint = "the object store cannot be read", "is AWS_DEFAULT_REGION the bucket's?"
    return UnreadableInput(message, path=url, endpoint=endpoint, answer=code, hint=hint)
