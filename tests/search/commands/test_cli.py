"""The command line's frame: what it imports, and how each kind of failure ends."""

import errno
import os
import subprocess
import sys
from typing import Any

import pytest
import typer
from atoll.search.commands import cli
from atoll.spaces.errors import AtollError

HEAVY = ("torch", "ray", "optuna", "duckdb", "nni", "tensorly", "rich", "numpy")


def _raising(error):
    def command() -> None:
        """A command that fails."""
        raise error

    return command


@pytest.fixture
def fail(monkeypatch, capsys):
    """Runs a command that raises the error; returns exit status, stdout and stderr."""

    def run(error, *flags):
        monkeypatch.setattr(cli, "COMMANDS", (("fail", _raising(error)), ("other", _raising(error))))
        status = cli.main(["fail", *flags])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from atoll.search.commands.cli import main; status = main(['--help']); "
        f"print(status, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "Usage: atoll" in done.stdout


def test_every_command_has_help(capsys):
    for name, _ in cli.COMMANDS:
        assert cli.main([name, "--help"]) == 0
        assert f"Usage: atoll {name}" in capsys.readouterr().out


def test_no_command_prints_the_help(capsys):
    assert cli.main([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("atoll ")


def test_two_commands_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(cli, "COMMANDS", (("same", _raising(None)), ("same", _raising(None))))
    with pytest.raises(ValueError, match="'same'"):
        cli.build_app()


def test_users_error_is_one_message(fail):
    assert fail(AtollError("rank 0 is below 1")) == (2, "", "atoll: rank 0 is below 1\n")


def test_debug_shows_the_traceback_wherever_it_stands(fail):
    status, _, err = fail(AtollError("rank 0 is below 1"), "--debug")
    assert status == 2
    assert "Traceback" in err
    assert err.endswith("atoll: rank 0 is below 1\n")


def test_whatever_is_written_goes_where_output_says(monkeypatch):
    """One name everywhere; the one that some commands had is taken still, and shown nowhere."""
    commands: Any = vars(typer.main.get_command(cli.build_app()))["commands"]
    for name in ("init", "check", "export", "report", "rebuild", "schema"):
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert {"--output", "-o"} <= options and "--out" not in options, name
    given: list[list[str]] = []

    def run(words: list[str]) -> int:
        given.append(words)
        return 0

    monkeypatch.setattr(cli, "_run", run)
    assert (
        cli.main(["export", "best", "--out", "there"])
        == cli.main(["export", "--out=a=b", "--", "--out"])
        == 0
    )
    assert given == [["export", "best", "--output", "there"], ["export", "--output=a=b", "--", "--out"]]


def test_after_two_dashes_debug_is_an_argument():
    assert cli._take_debug(["a", "--debug", "--", "--debug"]) == (["a", "--", "--debug"], True)
    assert cli._take_debug(["a", "--", "--debug"]) == (["a", "--", "--debug"], False)


def test_unexpected_error_is_one_sentence(fail):
    status, out, err = fail(ZeroDivisionError("division\nby zero"))
    assert (status, out) == (1, "")
    assert err == (
        "atoll: internal error: ZeroDivisionError: division by zero; run with --debug for the traceback\n"
    )


def test_unexpected_error_with_debug(fail):
    status, _, err = fail(ZeroDivisionError("x"), "--debug")
    assert status == 1
    assert "Traceback" in err


def test_full_disk_names_the_file(fail):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/atoll.duckdb")
    assert fail(error) == (2, "", "atoll: no space left on the disk while writing /data/atoll.duckdb\n")


def test_full_disk_behind_another_error_names_the_places(fail):
    error = RuntimeError("could not fold")
    error.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    status, _, err = fail(error)
    assert status == 2
    assert "no space left" in err and os.getcwd() in err


def test_full_disk_reported_as_text_alone(fail):
    status, _, err = fail(RuntimeError('IO Error: Could not write file "x": No space left on device'))
    assert status == 2
    assert err.startswith("atoll: no space left on a disk (free: ")


def test_a_better_sentence_about_a_full_disk_is_kept(fail):
    error = AtollError("the journal atoll.journal cannot be written: the disk is full")
    error.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert fail(error) == (2, "", f"atoll: {error}\n")


def test_missing_file_is_the_users_error(fail):
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "study.yaml")
    assert fail(error) == (2, "", "atoll: study.yaml: No such file or directory\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_interrupt(fail, error):
    assert fail(error) == (130, "", "atoll: interrupted\n")


def test_exit_status_of_a_command(fail):
    assert fail(typer.Exit(3)) == (3, "", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnk"], "No such command 'rnk'. Did you mean 'rank'? (allowed: see 'atoll --help')"),
        (["--foo"], "No such option: --foo (allowed: see 'atoll --help')"),
        (["rank"], "rank: Missing argument 'FILE' (allowed: see 'atoll rank --help')"),
        (
            ["rank", "x.csv", "--format", "xml"],
            "rank: Invalid value for '--format': 'xml' is not one of 'table', 'json', 'csv' "
            "(allowed: see 'atoll rank --help')",
        ),
    ],
)
def test_wrong_usage_is_one_message(capsys, words, message):
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"atoll: {message}\n"


def test_closed_pipe_is_quiet():
    code = (
        "import sys; from atoll.search.commands import cli\n"
        "def flood() -> None:\n"
        "    'Print much.'\n"
        "    for _ in range(100_000): print('x' * 80)\n"
        "cli.COMMANDS = (('flood', flood), ('other', flood))\n"
        "sys.exit(cli.main(['flood']))"
    )
    reader, writer = os.pipe()
    with subprocess.Popen([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        os.read(reader, 100)
        os.close(reader)
        _, err = process.communicate(timeout=60)
    assert err == b""
    assert process.returncode == cli.PIPE_CLOSED
