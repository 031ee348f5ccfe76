"""A user's Python, imported from the folder of the study: functions by `file.py:NAME` or `module:NAME`."""

import functools
import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from ...spaces.errors import AtollError

_LOG = logging.getLogger(__name__)
#: seconds until one hears what is waited for: importing torch with a large network's package takes less
SLOW_S = 15.0
#: folders of installed packages, which are not the user's code wherever they lie
INSTALLED = ("site-packages", "dist-packages")


class UserCode:
    """The modules of one folder; they are loaded anew, and known to no other import of this process.

    While user code runs, its folder comes first where Python looks for modules, its modules are those of this
    object, and what it prints goes to stderr, since stdout is for results.

    Args:
        folder: of the study file; paths are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._modules: dict[str, ModuleType] = {}

    def function(self, reference: str) -> Callable[..., Any]:
        """Returns what a reference names, wrapped so that its errors are sentences.

        Args:
            reference: `file.py:NAME`, a path relative to the folder, or `package.module:NAME`.

        Raises:
            AtollError: there is no such file, module or name, it cannot be called, or importing it raises.
        """
        found = self.object(reference)
        if not callable(found):
            raise AtollError(f"{reference}: got a {type(found).__name__}, allowed is a function")

        @functools.wraps(found)  # under its own name, which keys and messages have
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.running(reference):
                return found(*args, **kwargs)

        return call

    def object(self, reference: str) -> Any:
        """Returns the object that a reference names.

        Raises:
            AtollError: as `function`.
        """
        place, _, name = reference.rpartition(":")
        if not place or not name:
            raise AtollError(f"got {reference!r}, allowed is file.py:NAME or package.module:NAME")
        module = self._module(place, reference)
        with self.running(reference):
            for part in name.split("."):
                if not hasattr(module, part):
                    known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
                    raise AtollError(f"{place} has no {name}; it has {', '.join(sorted(known)) or 'nothing'}")
                module = getattr(module, part)
        return module

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Lets user code run; what it raises becomes one sentence that begins with `what`.

        Raises:
            AtollError: the block raised, or called for the end of the process.
        """
        hidden = self._taken_out()
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self.folder))
        try:
            with redirect_stdout(sys.stderr):
                yield
        except AtollError:
            raise
        except (Exception, SystemExit) as error:
            said = " ".join(str(error).split())[:300]
            where = f" ({_line_of(error, self.folder)})" if _line_of(error, self.folder) else ""
            raise AtollError(
                f"{what} raised {type(error).__name__}{where}: {said or 'no message'}"
            ) from error
        finally:
            if str(self.folder) in sys.path:
                sys.path.remove(str(self.folder))
            self._modules.update(self._taken_out())
            sys.modules.update(hidden)

    def reference_of(self, function: Any) -> str | None:
        """Returns `file.py:NAME` of a function of one of these modules, None where it is none of theirs."""
        module = self._modules.get(getattr(function, "__module__", None) or "")
        name = str(getattr(function, "__qualname__", ""))
        if module is None or not name.isidentifier() or getattr(module, name, None) is not function:
            return None
        path = Path(str(module.__file__))
        return (
            f"{path.relative_to(self.folder).as_posix()}:{name}" if path.is_relative_to(self.folder) else None
        )

    def files(self) -> dict[str, bytes]:
        """Returns the source of every module that was loaded from the folder, by path relative to it."""
        found = {}
        for module in self._modules.values():
            path = Path(str(module.__file__))
            if path.is_relative_to(self.folder):
                found[path.relative_to(self.folder).as_posix()] = path.read_bytes()
        return dict(sorted(found.items()))

    def _module(self, place: str, reference: str) -> ModuleType:
        if not place.endswith(".py"):
            with self.running(reference), told_if_slow(f"importing {place}"):
                return importlib.import_module(place)
        path = (self.folder / place).resolve()
        if not path.is_file():
            raise AtollError(f"{reference}: there is no file {path}")
        # under the name by which its neighbours import it, where it has one
        inside = path.is_relative_to(self.folder)
        parts = path.relative_to(self.folder).with_suffix("").parts if inside else (f"own_{path.stem}",)
        name = ".".join(parts)
        if name in self._modules:
            return self._modules[name]
        with self.running(reference):
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None:
                raise AtollError(f"{reference}: {path} is no Python file")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = self._modules[name] = module
            try:
                with told_if_slow(f"importing {place}"):
                    spec.loader.exec_module(module)
            except BaseException:
                del self._modules[name]
                sys.modules.pop(name, None)
                raise
        return module

    def _taken_out(self) -> dict[str, ModuleType]:
        """Takes the folder's modules out of those that this process knows, and returns them."""
        found = {
            name: module
            for name, module in list(sys.modules.items())
            if _lies_in(module, f"{self.folder}{os.sep}") and name.split(".")[0] not in ("__main__", "atoll")
        }
        for name in found:
            del sys.modules[name]
        return found


@contextmanager
def told_if_slow(what: str) -> Iterator[None]:
    """Logs once what is being waited for, should the block take long: a user's code may hang.

    Args:
        what: is done in it.
    """
    words = (f"atoll: {what} has taken %.0f s so far; Ctrl-C ends it", SLOW_S)
    timer = threading.Timer(SLOW_S, _LOG.warning, words)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def code_digest(files: Mapping[str, bytes]) -> str:
    """Returns the SHA-256 over paths and contents of files, hexadecimal."""
    digest = sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{len(name.encode())} {name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _lies_in(module: Any, folder: str) -> bool:
    name = getattr(module, "__file__", None)
    if not isinstance(name, str) or not name.startswith(folder) or not name.endswith(".py"):
        return False
    return not any(part in name for part in INSTALLED)


def _line_of(error: BaseException, folder: Path) -> str:
    """Returns the deepest line of the user's own files that an error came through."""
    found, trace = "", error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_absolute() and path.is_relative_to(folder):
            found = f"{path.relative_to(folder)}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
