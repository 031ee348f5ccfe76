"""A folder of pictures: a folder a class, perhaps below folders of splits."""

import os
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from .picture import ENDINGS
from .reader import SPLIT_NAMES, Item, Unreadable, file_stamp

#: folders that are looked into below a class
_DEEPEST = 16
#: folders that systems and archives leave among one's own
_NO_FOLDERS = ("__MACOSX", "@eaDir")


@dataclass(frozen=True)
class _Folder:
    """A folder with pictures of one class: also those below a class's own folder."""

    path: Path
    split: str
    label: int


class ImageFolder:
    """Pictures by class: `CLASS/NAME.png`, or `train/CLASS/NAME.png` and so on (`SPLIT_NAMES`).

    Classes are numbered in the order of their names, compared character by character as torchvision's
    `ImageFolder` does, so that weights which were trained with that fit. Names are compared in Unicode's
    composed form (NFC), which a copy between systems may change. Links are followed, hidden files left out.

    Args:
        root: the folder.

    Raises:
        AtollError: it has no folders of two classes or more with pictures, or cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: list[_Folder] = []
        self._folder_of = array("L")
        self._names: list[str] = []
        self._others: list[str] = []
        self._other_count = 0
        try:
            found = self._class_folders()
            names = sorted({name for _, _, name in found})
            for split, path, name in found:
                self._scan(path, split, names.index(name), [])
        except OSError as error:
            raise AtollError(f"data: {error.filename or root} cannot be read ({error.strerror})") from error
        self.class_names: tuple[str, ...] = tuple(names)
        self.total = len(self._names)
        self._check()

    def _class_folders(self) -> list[tuple[str, Path, str]]:
        """Finds split, path and name of every class's folder."""
        top = _folders_in(self._root)
        splits = {SPLIT_NAMES[path.name.lower()]: path for path in top if path.name.lower() in SPLIT_NAMES}
        if "train" not in splits or not _folders_in(splits["train"]):
            return [("train", path, _name_of(path)) for path in top]
        named = [path for path in top if path.name.lower() in SPLIT_NAMES]
        if len(named) > len(splits):
            raise AtollError(
                f"data: {shown(self._root)} has {', '.join(path.name for path in named)}, allowed is one "
                "folder a split: train, val and test"
            )
        others = [path for path in top if path not in named]
        self._others += [str(path) for path in others]
        self._other_count += len(others)
        return [(split, path, _name_of(path)) for split in splits for path in _folders_in(splits[split])]

    def _scan(self, path: Path, split: str, label: int, above: list[tuple[int, int]]) -> None:
        """Takes in the pictures of a folder and of those below; a link to a folder above is no news."""
        status = path.stat()
        here = (status.st_dev, status.st_ino)
        if here in above or len(above) > _DEEPEST:
            return
        self._folders.append(_Folder(path, split, label))
        number = len(self._folders) - 1
        below = []
        with os.scandir(path) as entries:
            visible = [(entry.name, entry.is_dir()) for entry in entries if _is_visible(entry.name)]
        for name, is_folder in sorted(visible):
            if is_folder:
                below.append(name)
            elif os.path.splitext(name)[1].lower() in ENDINGS:
                self._names.append(name)
                self._folder_of.append(number)
            else:
                self._other_count += 1
                if len(self._others) < 3:
                    self._others.append(str(path / name))
        for name in below:
            self._scan(path / name, split, label, [*above, here])

    def _check(self) -> None:
        where = shown(self._root)
        allowed = (
            f"allowed is a folder a class, such as {where}/CLASS/NAME.png, or such folders "
            "below train/, val/, test/"
        )
        if not self.class_names:
            raise AtollError(f"data: {where} has no folders in it, {allowed}")
        if not self.total:
            raise AtollError(
                f"data: the folders in {where} hold no pictures (files that end in "
                f"{', '.join(sorted(ENDINGS))}), {allowed}"
            )
        if len(self.class_names) == 1:
            raise AtollError(
                f"data: {where} holds one class, {shown(self.class_names[0])}, allowed are two or more: "
                "a network cannot learn to tell one class from none"
            )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is not looked at."""
        if not self._other_count:
            return ()
        more = ", …" if self._other_count > len(self._others) else ""
        return (
            f"{self._other_count:,} files or folders are no pictures: {', '.join(self._others[:3])}{more}",
        )

    def stamp(self) -> Iterable[bytes]:
        """Gives name, size and time of every picture, and every class."""
        for folder in self._folders:
            yield os.fsencode(folder.path) + f"\0{folder.split}\0{folder.label}\0".encode()
        for row in range(self.total):
            yield file_stamp(self._path(row))

    def items(self, rows: range | np.ndarray) -> Iterator[Item]:
        """Gives the paths of pictures; whoever decodes opens them."""
        for row in rows:
            folder = self._folders[self._folder_of[row]]
            path = self._path(row)
            yield Item(path if path.is_file() else _no_file(path), folder.label, folder.split)

    def name(self, row: int) -> str:
        """Returns the path of a picture."""
        return str(self._path(row))

    def _path(self, row: int) -> Path:
        return self._folders[self._folder_of[row]].path / self._names[row]


def _folders_in(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and _is_visible(entry.name)]
    return [path / name for name in sorted(names)]


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name not in _NO_FOLDERS


def _name_of(path: Path) -> str:
    """Returns the name of a class: bytes that are no UTF-8 become escapes."""
    return shown(unicodedata.normalize("NFC", path.name))


def _no_file(path: Path) -> Unreadable:
    if path.exists():
        return Unreadable("is no regular file")
    return Unreadable("is a link to nowhere" if path.is_symlink() else "is not there any more")
