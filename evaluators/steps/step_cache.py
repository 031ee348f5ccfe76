"""The step cache: trained networks after every step, addressed by what decided them.

One entry is a folder `KEY[:2]/KEY` with `model.safetensors` and `entry.json`. It is written beside its place
and published by one rename. A digest at the head of `entry.json` covers the rest of that file as it stands,
and through it the tensors; an entry that differs in a byte, lacks a file or has one too many is removed and
made again. Two processes that need the same entry wait for one maker (an advisory file lock, which the system
frees when its holder dies). Failures are never kept.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from ...spaces.errors import MachineError
from ..quota import DRAFT, DRAFT_AGE_S, keep_to, remove_whole, used_at
from .cache_backend import Entry

#: what the cache may take before the least recently used entries go
QUOTA_BYTES = 4 * 2**30
#: the cache is weighed once in so many new entries
WEIGHED_EVERY = 20
#: version of the files of an entry; part of every key, so that those of another one are not found
FORMAT = 2
_TENSORS, _ENTRY, _PINNED = "model.safetensors", "entry.json", "pinned"
_HEAD, _MIDDLE = b'{"sha256":"', b'","entry":'
_BODY_START = len(_HEAD) + 2 * hashlib.sha256().digest_size + len(_MIDDLE)


class StepCache:
    """The cache in a folder: entries below it, shared by any number of processes.

    Args:
        root: the folder; made when first needed.
        quota_bytes: size above which the least recently used entries are removed, pinned ones excepted.
    """

    def __init__(self, root: Path, quota_bytes: int = QUOTA_BYTES) -> None:
        self.root = Path(root)
        self.quota_bytes = quota_bytes
        self._made = 0

    def get(self, key: str) -> Entry | None:
        """Returns an entry, None where there is none or it is damaged (it is removed then)."""
        folder = self._folder(key)
        try:
            names = set(os.listdir(folder))
            about = _opened((folder / _ENTRY).read_bytes())
            data = (folder / _TENSORS).read_bytes()
            if about["tensors"] != hashlib.sha256(data).hexdigest() or about["key"] != key:
                raise ValueError("the entry is another one's")
            if not names <= {_ENTRY, _TENSORS, _PINNED}:
                raise ValueError("a file too many")
            found = Entry(load(data), about["record"])
        except FileNotFoundError:
            # published at once with both files: a folder without one of them is damaged, not in the making
            if folder.exists() and not all((folder / name).exists() for name in (_ENTRY, _TENSORS)):
                remove_whole(folder)
            return None
        except (ValueError, KeyError, TypeError, OSError, SafetensorError):
            remove_whole(folder)
            return None
        with suppress(OSError):  # it may have been evicted meanwhile; what was read is whole
            os.utime(folder)
        return found

    def has(self, key: str) -> bool:
        """Whether an entry is there (it may still turn out to be damaged)."""
        return (self._folder(key) / _ENTRY).exists()

    def put(self, key: str, entry: Entry) -> None:
        """Publishes an entry; one that is already there stays.

        Raises:
            MachineError: the disk is full or the folder cannot be written.
        """
        folder = self._folder(key)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder.parent))
            try:
                # copies: a network may hold one layer under two names, and safetensors wants no shared memory
                data = save({name: tensor.clone().contiguous() for name, tensor in entry.tensors.items()})
                about = {"key": key, "tensors": hashlib.sha256(data).hexdigest(), "record": entry.record}
                _write(draft / _TENSORS, data)
                _write(draft / _ENTRY, _sealed(json.dumps(about).encode()))
                os.rename(draft, folder)
            except OSError:
                shutil.rmtree(draft, ignore_errors=True)
                if not self.has(key):
                    raise
        except OSError as error:
            raise self._unwritable(error) from error
        self._made += 1
        if self._made % WEIGHED_EVERY == 0:
            self.evict()

    def get_or_make(self, key: str, make: Callable[[], Entry]) -> tuple[Entry, bool]:
        """Returns an entry and whether it was there; one that was not is made and published.

        Raises:
            MachineError: the disk is full or the folder cannot be written.
        """
        with self.making(key):
            found = self.get(key)
            if found is not None:
                return found, True
            made = make()
            self.put(key, made)
            return made, False

    @contextmanager
    def making(self, key: str) -> Iterator[None]:
        """Holds the right to make an entry; others that want the same one wait.

        Raises:
            MachineError: the disk is full or the folder cannot be written.
        """
        locks = self.root / "locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
            handle = (locks / key).open("w")
        except OSError as error:
            raise self._unwritable(error) from error
        with handle:
            # the empty file stays: were it removed, a third process would lock another one
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def pin(self, key: str) -> None:
        """Keeps an entry whatever the quota says (baseline and finalists).

        Raises:
            MachineError: the disk is full or the folder cannot be written.
        """
        try:
            with suppress(FileNotFoundError):  # no such entry, or it was evicted just now
                (self._folder(key) / _PINNED).touch()
        except OSError as error:
            raise self._unwritable(error) from error

    def evict(self) -> int:
        """Removes the least recently used entries until the quota is met; returns how many.

        Drafts that processes left when they died go too.
        """
        for draft in self.root.glob(f"??/{DRAFT}*"):
            if time.time() - used_at(draft) > DRAFT_AGE_S:
                shutil.rmtree(draft, ignore_errors=True)
        entries = [folder for folder in self.root.glob("??/*") if not folder.name.startswith(".")]
        return keep_to(
            self.quota_bytes,
            entries,
            lambda folder: not (folder / _PINNED).exists() and remove_whole(folder),
        )

    def _folder(self, key: str) -> Path:
        return self.root / key[:2] / key

    def _unwritable(self, error: OSError) -> MachineError:
        return MachineError(
            f"step cache {self.root}: cannot write ({error.strerror or error}); a writable folder with free "
            "space is needed, ATOLL_CACHE names another one"
        )


def _sealed(body: bytes) -> bytes:
    """Returns plain JSON: the digest of a body, then the body as it stands."""
    return _HEAD + hashlib.sha256(body).hexdigest().encode() + _MIDDLE + body + b"}"


def _opened(content: bytes) -> dict[str, Any]:
    """Returns the JSON that was sealed.

    Raises:
        ValueError: a byte of it is not as it was written.
    """
    body = content[_BODY_START:-1]
    if content != _sealed(body):
        raise ValueError("the digest differs")
    about: dict[str, Any] = json.loads(body)
    return about


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
