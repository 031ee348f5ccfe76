"""What the pages say works as pasted, from commands to links, and the figures that they show are true."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from atoll.evaluators.ranking.constraints import KNOWN
from atoll.search.commands.cli import COMMANDS, build_app, main
from atoll.spaces.recipes.order import check_order
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "clusters/README.md")),
        *sorted((ROOT / "docs").glob("*.md")),
    )
}
README = PAGES["README.md"]
FLOORS = ("spaces", "hw_models", "evaluators", "search")
#: stands in the pages for the folder of some export
EXPORT = "exports/STUDY-TRIAL"
#: begins a search in the pages' Python
SEARCH = "run("
#: commands that are asked in this process: each starts in seconds, and there are many
QUICK = ("sql", "leaderboard", "show", "compare", "report", "predict")
#: commands that need no store and no training, and the options that make them need one
FREE = ("predict", "techniques", "devices", "rank")
OF_A_TRIAL = {"--artifact", "--trial"}

every_page = pytest.mark.parametrize("page", PAGES)


def blocks(page: str, language: str) -> list[str]:
    """Returns the fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], flags=re.DOTALL)


def inline(page: str) -> list[str]:
    """Returns the code inside of lines."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL))


def commands(*pages: str) -> list[list[str]]:
    """Returns the words after `atoll` of every line to be pasted, each line once."""
    lines = [line for page in pages for block in blocks(page, "sh") for line in block.splitlines()]
    found = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("atoll ")]
    return [list(words) for words in dict.fromkeys(map(tuple, found))]


def options(command: Any) -> set[str]:
    """Returns the options of a command of the command line."""
    found = (option for one in command.params for option in (*one.opts, *one.secondary_opts))
    return {"--help", *found}


def run(words: Iterable[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python with these words in a folder."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=folder, check=False)


@pytest.fixture(scope="module")
def app() -> Any:
    return typer.main.get_command(build_app())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that knows one study and no trial, in a folder that has the results as the repository has."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "results").symlink_to(ROOT / "results")
    study = json.dumps({"baseline": {"model_bytes": 100, "quality": 0.9}, "study": "s", "type": "study"})
    line = f'{{"crc32":"{zlib.crc32(study.encode()):08x}","event":{study}}}\n'
    (folder / "atoll.journal.jsonl").write_text(line)
    return folder / "atoll.duckdb"


# What the pages name exists ---------------------------------------------------------------------------


def test_the_readme_takes_three_minutes() -> None:
    assert len(README.splitlines()) <= 150


@every_page
def test_commands_and_options_exist(page: str, app: Any) -> None:
    for name, *words in commands(page):
        assert name in app.commands, name
        app.commands[name].make_context(name, words)  # raises on an option or a value that is not allowed
    root = {option for parameter in app.params for option in parameter.opts}
    anywhere = root.union(*map(options, app.commands.values()))
    for code in inline(page):
        named = re.match(r"atoll ([a-z][a-z-]*)\b", code)
        if named:
            assert named[1] in app.commands, code
            assert set(re.findall(r"(?<!\S)--[a-z-]+", code)) <= options(app.commands[named[1]]), code
        elif code.startswith("--"):
            assert set(re.findall(r"(?<!\S)--[a-z-]+", code)) <= anywhere, code


def test_every_command_is_on_a_page() -> None:
    shown = {words[0] for words in commands(*PAGES)}
    said = {match[1] for page in PAGES for match in re.finditer(r"`atoll ([a-z][a-z-]*)", PAGES[page])}
    assert {name for name, _ in COMMANDS} - {"doctor"} <= shown | said


def test_the_options_of_the_file_for_boards_exist(tmp_path: Path) -> None:
    (line,) = re.findall(r"^python3 bench\.py (.*)$", PAGES["docs/devices.md"], flags=re.MULTILINE)
    help_text = run([str(ROOT / "hw_models/board/bench.py"), "--help"], tmp_path).stdout
    for option in re.findall(r"--[a-z-]+", line):
        assert option in help_text


@every_page
def test_make_targets_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    benches = re.findall(r"^BENCHES := (.*)$", makefile, flags=re.MULTILINE)[0].split()
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", PAGES[page], flags=re.MULTILINE)):
        known = target in [f"bench-{name}" for name in benches]
        assert known or re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@every_page
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGES[page]):
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


@every_page
def test_paths_exist(page: str) -> None:
    folders = (*FLOORS, "clusters", "docs", "results", "testing", "tests")
    for code in inline(page):
        if re.fullmatch(rf"(?:{'|'.join(folders)})/[\w./-]*", code):
            assert (ROOT / code).exists(), code


@every_page
def test_environment_variables_are_read(page: str) -> None:
    sources = "".join(path.read_text() for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    for name in set(re.findall(r"\bATOLL_[A-Z]+\b", PAGES[page])):
        assert f'"{name}"' in sources, name


@every_page
def test_steps_are_legal(page: str) -> None:
    for code in inline(page):
        if re.fullmatch(r"[a-z_]+\(.*\) -> [a-z_]+.*", code):
            check_order(Recipe.parse(code))


@every_page
def test_public_names_are_public(page: str) -> None:
    text = " ".join(PAGES[page].split())
    names = [name for found in re.findall(r"`from atoll import ([^`]+)`", text) for name in found.split(", ")]
    public = importlib.import_module("atoll")
    assert [name for name in names if name not in public.__all__] == []


def test_every_public_name_is_said() -> None:
    assert set(importlib.import_module("atoll").__all__) <= set(re.findall(r"\w+", README))


# What is to be pasted works ---------------------------------------------------------------------------


@every_page
def test_studies_are_read(page: str, tmp_path: Path) -> None:
    """A block without a task is a part of a study."""
    from atoll.search.study.study_file import read_study

    for text in blocks(page, "yaml"):
        said = yaml.safe_load(text)
        whole = text if "task" in said else f"task: digits\n{text}"
        path = tmp_path / "study.yaml"
        path.write_text(whole)
        study = read_study(path, {})
        for key in said.keys() & {"techniques", "constraints"}:
            assert len(getattr(study, key)) == len(said[key])


@every_page
def test_sql_runs(page: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [words[1] for words in commands(page) if words[0] == "sql"]
    for statement in (*asked, *blocks(page, "sql")):
        assert main(["sql", statement, "--store", str(store)]) == 0, capsys.readouterr().err


@every_page
def test_python_runs(page: str, store: Path) -> None:
    assert main(["sql", "FROM studies", "--store", str(store)]) == 0  # the journal becomes a database
    for code in blocks(page, "python"):
        if EXPORT in code or SEARCH in code:
            compile(code, page, "exec")  # it runs where there is an export or a search: with the three uses
        else:
            found = run(["-c", code], store.parent)
            assert found.returncode == 0, found.stderr


def is_free(words: list[str]) -> bool:
    """Tells whether a command needs no store and no training."""
    return words[0] in FREE and not OF_A_TRIAL & set(words)


@pytest.mark.parametrize("words", list(filter(is_free, commands(*PAGES))), ids=" ".join)
def test_what_needs_no_store_runs(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.csv").write_bytes((ROOT / "tests/data/pub1_table2.csv").read_bytes())
    (tmp_path / "study.yaml").write_text(blocks("README.md", "yaml")[0])
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert said.out and "Traceback" not in said.err
    if words[0] == "predict":
        assert "latency" in said.out and "model_bytes" in said.out


@pytest.mark.slow
def test_the_three_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    Path("study.yaml").write_text(blocks("README.md", "yaml")[0])

    def atoll(words: list[str]) -> None:
        if words[0] in QUICK:
            status, error = main(words), capsys.readouterr().err
        else:
            found = run(["-m", "atoll.search.commands.cli", *words], tmp_path)
            status, error = found.returncode, found.stderr
        assert status == 0 and "Traceback" not in error, f"{words}: {error}"

    first = [words for words in commands("README.md") if not is_free(words)]
    for words in first:
        atoll(words)
    (folder,) = Path("exports").iterdir()
    (code,) = [code for code in blocks("README.md", "python") if SEARCH in code]
    found = run(["-c", code], tmp_path)  # goes on with the same study, which has nothing left to do
    assert found.returncode == 0 and " -> " in found.stdout, found.stderr
    # evaluate has tests of its own, and would make the baseline of another study first
    further = [words for words in commands("docs/search.md") if words[0] in QUICK]
    further += commands("docs/export.md", "docs/sql.md", "docs/devices.md")
    for words in further:
        if words not in first and not is_free(words) and words[0] != "calibrate":
            atoll([word.replace(EXPORT, str(folder)) for word in words])
    rows = re.findall(r"^\| (`.*?) \|", PAGES["docs/export.md"], flags=re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    assert told - {"model.onnx", "model.pte"} <= set(os.listdir(folder))  # these two need extras
    (code,) = [code for code in blocks("docs/export.md", "python") if EXPORT in code]
    found = run(["-c", code.replace(EXPORT, str(folder))], tmp_path)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) in range(10)  # a digit


# What the pages list is whole, and the figures are the committed ones -------------------------------------


def test_the_architecture_names_every_room() -> None:
    named = {code.rstrip("/") for code in inline("ARCHITECTURE.md")}
    rooms = {
        path.parent.relative_to(ROOT) for floor in FLOORS for path in (ROOT / floor).glob("*/__init__.py")
    }
    assert {room.as_posix() for room in rooms} - named == set()


def test_every_technique_is_listed_by_its_sentence() -> None:
    spelt = {13: "thirteen"}[len(TECHNIQUES)]
    assert f"{spelt} techniques" in README and PAGES["docs/techniques.md"].count(f"{spelt.title()} ") == 1
    listed = [line for line in PAGES["docs/techniques.md"].splitlines() if re.match(r"\| `\w+` \| ", line)]
    expected = [
        f"| `{t.name}` | {t.stage} | {(t.__doc__ or '').strip().splitlines()[0]} |" for t in TECHNIQUES
    ]
    assert [line for line in listed if line.count("|") == 4] == expected


def test_every_key_of_a_study_and_every_constraint_is_said() -> None:
    from atoll.search.study.limits import Limits
    from atoll.search.study.study import Study

    named = set(inline("docs/search.md"))
    assert {*Study.model_fields, *Limits.model_fields, *KNOWN} - named == set()


def test_the_tables_are_the_committed_ones() -> None:
    committed: set[str] = set()
    for name in ("characters", "techniques"):
        lines = (ROOT / "results" / name / "README.md").read_text().splitlines()
        committed |= {line for line in lines if line.startswith("|")}
    for page, headings, least in (
        ("README.md", ("|  | recipe |",), 5),
        ("docs/techniques.md", ("| recipe | seeds |",), 18),
    ):
        shown = tables(page, headings)
        assert len(shown) >= least
        assert [line for line in shown if line not in committed] == [], page


def tables(page: str, headings: tuple[str, ...]) -> list[str]:
    """Returns the lines of the tables that begin like this."""
    found: list[str] = []
    inside = False
    for line in PAGES[page].splitlines():
        inside = line.startswith("|") and (inside or line.startswith(headings))
        found += [line] if inside else []
    return found


@pytest.mark.slow
def test_the_errors_of_the_predictors_are_those_shown() -> None:
    from atoll.hw_models.devices.samples import samples
    from atoll.hw_models.fitting.calibration import fit
    from atoll.hw_models.fitting.calibration_report import report_rows, summary

    lines = PAGES["docs/devices.md"].splitlines()
    for device, names in (
        ("coral-dev-board", ("`coral-dev-board`, latency", "`coral-dev-board`, peak memory")),
        ("coral-edge-tpu", ("`coral-edge-tpu`, latency", "its embedded CPU, latency")),
    ):
        for sample, name in zip(samples(device), names, strict=True):
            rows = report_rows(sample, fit(sample), "row")
            found = summary([row for row in rows if row.used])
            line = next(line for line in lines if line.startswith(f"| {name}"))
            assert f"| {len(sample.points)} of {len(rows)} | {found['mape_pct']:.1f} %" in line
            assert f"| {found['interval_coverage_pct']:.0f} %" in line
