"""The command line `atoll`: lists the commands and turns every failure into one message."""

import contextlib
import errno
import importlib.metadata
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ...spaces.errors import AtollError
from ..terminal.ending import INTERRUPTED, Endings
from ..terminal.plain_text import open_closed_streams, speak_plainly
from ..terminal.said import say, show_logs, tell
from .ablate import ablate
from .calibrate import calibrate
from .check import check
from .compare import compare
from .completion import answer_shell, completion
from .devices import devices
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .import_studies import import_studies
from .init import init
from .leaderboard import leaderboard
from .optuna_storage import optuna_storage
from .predict import predict
from .rank import rank
from .rebuild import rebuild
from .report import report
from .resume import resume
from .schema import schema
from .search import search
from .show import show
from .sql import sql
from .techniques import techniques
from .verify import verify

COMMANDS: tuple[tuple[str, Callable[..., Any]], ...] = (
    # One line a command; they are shown in this order.
    ("init", init),
    ("check", check),
    ("search", search),
    ("resume", resume),
    ("evaluate", evaluate),
    ("ablate", ablate),
    ("leaderboard", leaderboard),
    ("show", show),
    ("compare", compare),
    ("report", report),
    ("import", import_studies),
    ("optuna-storage", optuna_storage),
    ("export", export),
    ("verify", verify),
    ("rebuild", rebuild),
    ("predict", predict),
    ("calibrate", calibrate),
    ("devices", devices),
    ("rank", rank),
    ("sql", sql),
    ("techniques", techniques),
    ("schema", schema),
    ("doctor", doctor),
    ("completion", completion),
)

#: options by the names that they had, which are taken still and shown nowhere
EARLIER_NAMES = {"--out": "--output"}
PIPE_CLOSED = 128 + 13  # shell convention: 128 + SIGPIPE
# Failures of the system that the user can mend: full disk, quota, missing file, no permission.
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after `atoll`; those of this process when None.

    Returns:
        the exit status: 0 done, 1 internal error or Ray is gone, 2 wrong input, 129 hung up, 130 interrupted,
        141 reader went away, 143 terminated.
    """
    words, debug = _take_debug(_renamed(sys.argv[1:] if argv is None else argv))
    open_closed_streams()
    speak_plainly(sys.stdout, sys.stderr)
    show_logs()
    with Endings() as endings:
        try:
            status = _run(words)
            _flush()  # a reader that went away shows here, not at interpreter exit
            return status
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            ending = endings.ending or (INTERRUPTED if _is_interrupt(error) else None)
            if ending is None and _is_pipe_closed(error):
                _silence()
                return PIPE_CLOSED
            if ending is None and isinstance(error, SystemExit):
                raise
            with contextlib.suppress(BrokenPipeError):
                if debug:
                    tell(traceback.format_exc(), sys.stderr)
                status, message = _explain(error)
                if ending is not None:
                    status, message = ending.status, endings.sentence(ending)
                _flush()
                say(message)
                return status
            _silence()
            return status


def build_app() -> typer.Typer:
    """Returns the typer application with every command of `COMMANDS`.

    Raises:
        ValueError: two commands have one name.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(invoke_without_command=True)(_root)
    seen: set[str] = set()
    for name, function in COMMANDS:
        if name in seen:
            raise ValueError(f"two commands are called {name!r}")
        seen.add(name)
        app.command(name)(function)
    return app


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (anywhere on the line).")
    ] = False,
) -> None:
    """Atoll searches ordered ensembles of compression techniques for a trained network and a device."""
    if version:
        tell(f"atoll {_version()}")
    elif context.invoked_subcommand is None:
        tell(context.get_help())


def _run(words: list[str]) -> int:
    command = typer.main.get_command(build_app())
    answered = answer_shell(command)
    if answered is not None:
        return answered
    try:
        # Not command.main(): it handles interrupts and closed pipes itself, with other exit statuses.
        with command.make_context("atoll", words) as context:
            command.invoke(context)
    except typer.Exit as exit_request:
        return exit_request.exit_code
    return 0


def _renamed(argv: Sequence[str]) -> list[str]:
    """Returns the words with options, before a `--`, by the names that they have now."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    for place, word in enumerate(words[:end]):
        name, equals, value = word.partition("=")
        words[place] = EARLIER_NAMES.get(name, name) + equals + value
    return words


def _take_debug(argv: Sequence[str]) -> tuple[list[str], bool]:
    """Returns the words without `--debug`, allowed anywhere before a `--`, and whether it was there."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    head = [word for word in words[:end] if word != "--debug"]
    return head + words[end:], len(head) < end


def _explain(error: BaseException) -> tuple[int, str]:
    """Returns the exit status and the sentence for an error that ended a command."""
    if isinstance(error, AtollError):
        return 2, str(error)
    full = _disk_full(error)
    if full is not None:
        return 2, full
    if hasattr(error, "format_message"):  # wrong usage, found by typer
        return 2, _usage_message(error)
    if isinstance(error, OSError) and error.filename is not None:
        return 2, f"{_text(error.filename)}: {error.strerror or error}"
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return 1, f"internal error: {' '.join(what.split())}; run with --debug for the traceback"


def _usage_message(error: Any) -> str:
    message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    place = context.command_path.removeprefix("atoll").strip()
    return f"{place + ': ' if place else ''}{message} (allowed: see '{context.command_path} --help')"


def _disk_full(error: BaseException) -> str | None:
    """Returns the sentence for a full disk if that is what lies behind the error, with the place."""
    cause: BaseException | None = error
    while cause is not None:
        named = isinstance(cause, OSError) and cause.errno in _DISK_FULL
        if named or os.strerror(errno.ENOSPC) in str(cause):  # DuckDB and Arrow pass on the text alone
            if isinstance(cause, OSError) and cause.filename is not None:
                return f"no space left on the disk while writing {_text(cause.filename)}"
            places = dict.fromkeys((os.getcwd(), tempfile.gettempdir()))
            free = ", ".join(f"{shutil.disk_usage(place).free / 1e6:.1f} MB in {place}" for place in places)
            return f"no space left on a disk (free: {free})"
        cause = cause.__cause__ or cause.__context__
    return None


def _text(filename: Any) -> str:
    return os.fsdecode(filename) if isinstance(filename, (str, bytes, os.PathLike)) else str(filename)


def _is_interrupt(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, typer.Abort))


def _is_pipe_closed(error: BaseException) -> bool:
    # rich ends the process where a pipe is closed
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return isinstance(cause, BrokenPipeError)


def _flush() -> None:
    sys.stdout.flush()


def _silence() -> None:
    # Python flushes both once more at exit and would complain about the closed pipe.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
            continue
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _version() -> str:
    try:
        return importlib.metadata.version("atoll")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
