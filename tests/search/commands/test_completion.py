"""Completion in shells, and what the doctor tells people to mend."""

import subprocess
import sys

import pytest
from atoll.search.commands import cli, doctor


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("atoll lead", ["leaderboard"]),
        ("atoll s", ["search", "show", "sql", "schema"]),
        ("atoll sql --for", ["--format"]),
        ("atoll sql --format pa", ["parquet"]),
        ("atoll nothing", []),
    ],
)
def test_a_shell_is_told_what_could_follow(monkeypatch, capsys, words, wanted):
    monkeypatch.setenv("_ATOLL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert cli.main([]) == 0
    captured = capsys.readouterr()
    assert (captured.out.split(), captured.err) == (wanted, "")


def test_bash_takes_what_it_is_given_and_completes_with_it():
    script = (
        f'atoll() {{ "{sys.executable}" -m atoll.search.commands.cli "$@"; }}; export -f atoll; '
        'eval "$(atoll completion bash)"; complete -p atoll'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-3:] == ["-F", "_atoll_completion", "atoll"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_scripts_too(capsys, shell):
    assert cli.main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "_ATOLL_COMPLETE=complete_" + shell in out


def test_another_shell_is_one_sentence(capsys):
    assert cli.main(["completion", "tcsh"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "'tcsh' is not one of 'bash', 'zsh', 'fish'" in captured.err


def test_the_doctor_says_how_to_mend_what_is_missing_and_nothing_else(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(doctor, "PACKAGES", (("duckdb", "the store"), ("no-such-package", "nothing")))
    monkeypatch.setattr(doctor, "_writable", lambda path: "held" not in str(path))
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    assert cli.main(["doctor", "--store", str(tmp_path / "held" / "atoll.duckdb")]) == 0
    fixes = dict(
        line.removeprefix("atoll: to fix ").split(": ", 1) for line in capsys.readouterr().err.splitlines()
    )
    assert fixes.keys() >= {"no-such-package", "store"} and "duckdb" not in fixes
    assert "constraints.txt" in fixes["no-such-package"] and "--store" in fixes["store"]


def test_every_check_but_packages_has_a_cure_of_its_own():
    """`signs`, `home`, `cores` and `atoll` are never amiss, or mended as a package is."""
    said = {row["what"] for row in doctor.doctor_rows(doctor.Path("atoll.duckdb"))}
    packages = {name for name, _ in doctor.PACKAGES}
    assert doctor._CURES.keys() - packages == said - packages - {"atoll", "cores", "home", "signs"}
