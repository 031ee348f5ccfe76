"""A user's Python: loaded from its folder alone, its mistakes as sentences, its prints not among results."""

import sys
from pathlib import Path

import cloudpickle
import pytest
from atoll.evaluators.tasks import own_functions
from atoll.evaluators.tasks.functions_by_value import by_value, bytes_of
from atoll.evaluators.tasks.user_code import UserCode, code_digest
from atoll.spaces.errors import AtollError


def written(folder: Path, **files: str) -> UserCode:
    for name, text in files.items():
        path = folder / f"{name.replace('of_mine', 'mine/').replace('init', '__init__')}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return UserCode(folder)


def test_two_folders_have_modules_of_one_name_each_its_own(tmp_path: Path) -> None:
    before = set(sys.modules)
    codes = [
        written(tmp_path / name, nets="import helper\ndef f():\n    import late\n    return helper.X+late.X",
                helper=f"X = '{name}'", late="X = '!'", unused="X = 0")
        for name in ("a", "b")
    ]  # fmt: skip
    functions = [code.function("nets.py:f") for code in codes]
    assert [function() for function in functions] == ["a!", "b!"], "what is imported late is its own too"
    assert not {"nets", "helper", "late"} & (set(sys.modules) - before), "nobody else sees them"
    assert sorted(codes[0].files()) == ["helper.py", "late.py", "nets.py"], "what was loaded, no more"
    assert str(tmp_path / "a") not in sys.path


def test_a_package_is_named_by_its_module(tmp_path: Path) -> None:
    code = written(tmp_path, of_mineinit="", of_minenets="from .parts import X\ndef f(): return X",
                   of_mineparts="X = 7")  # fmt: skip
    assert code.function("mine.nets:f")() == code.function("mine/nets.py:f")() == 7
    assert sorted(code.files()) == ["mine/__init__.py", "mine/nets.py", "mine/parts.py"]


def test_the_digest_covers_names_and_contents() -> None:
    files = {"a.py": b"1", "b.py": b"2"}
    assert code_digest(files) == code_digest(dict(reversed(files.items())))
    others = (
        {"a.py": b"12", "b.py": b""},
        {"a.py": b"1"},
        {"c.py": b"1", "b.py": b"2"},
        {"a.py": b"2", "b.py": b"1"},
    )
    assert len({code_digest(one) for one in (files, *others)}) == 5


def test_what_user_code_prints_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = written(tmp_path, nets="print('loading')\ndef f(): print('running')")
    code.function("nets.py:f")()
    said = capsys.readouterr()
    assert said.out == "" and said.err == "loading\nrunning\n"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("other.py:f", r"other.py:f: there is no file .*/other.py"),
        ("nets.py:g", "nets.py has no g; it has f, leaves, raises"),
        ("nets.py:X", "nets.py:X: got a int, allowed is a function"),
        ("nets.py", "got 'nets.py', allowed is file.py:NAME or package.module:NAME"),
        ("no_such_package.nets:f", "no_such_package.nets:f raised ModuleNotFoundError: No module named"),
        ("broken.py:f", r"broken.py:f raised SyntaxError"),
        ("raising.py:f", r"raising.py:f raised KeyError \(raising.py, line 2\): 'x'"),
        ("leaving.py:f", r"leaving.py:f raised SystemExit"),
    ],
)
def test_mistakes_are_sentences(reference: str, message: str, tmp_path: Path) -> None:
    code = written(tmp_path, nets="X = 1\ndef f(): pass\ndef raises(): 1 / 0\ndef leaves(): exit(3)",
                   broken="def f(:", raising="X = {}\nX['x']", leaving="import sys\nsys.exit(2)")  # fmt: skip
    with pytest.raises(AtollError, match=message):
        code.function(reference)
    with pytest.raises(
        AtollError, match=r"nets.py:raises raised ZeroDivisionError \(nets.py, line 3\): division"
    ):
        code.function("nets.py:raises")()
    with pytest.raises(AtollError, match=r"nets.py:leaves raised SystemExit \(nets.py, line 4\): 3"):
        code.function("nets.py:leaves")()


def test_code_that_takes_long_is_named_while_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("atoll.evaluators.tasks.user_code.SLOW_S", 0.05)
    code = written(tmp_path, nets="import time\ntime.sleep(0.5)\ndef f(): pass", quick="def f(): pass")
    code.function("quick.py:f")
    assert not caplog.messages
    code.function("nets.py:f")
    assert caplog.messages == ["atoll: importing nets.py has taken 0 s so far; Ctrl-C ends it"]


def test_what_is_raised_without_words_is_said_so(tmp_path: Path) -> None:
    code = written(tmp_path, nets="def f(): raise KeyError")
    with pytest.raises(AtollError, match=r"^nets.py:f raised KeyError \(nets.py, line 1\): no message$"):
        code.function("nets.py:f")()


def test_functions_that_hold_an_open_file_cannot_be_sent(tmp_path: Path) -> None:
    refused = pytest.raises(AtollError, match=r"^the functions quality cannot be sent to workers ")
    with (tmp_path / "log").open("w") as stream, refused:
        bytes_of({"quality": lambda *_: stream.write("x")})
    assert not cloudpickle.list_registry_pickle_by_value()


def test_functions_that_cannot_be_read_again_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "functions.pickle"
    path.write_bytes(bytes_of({"double": lambda number: 2 * number}))
    assert by_value(path)["double"](4) == 8
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(AtollError, match=rf"^cannot read {path}: "):
        by_value(path)


def test_a_task_that_names_a_function_and_has_no_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match=r"^the task names quality\.py:recall and has no code$"):
        own_functions._loaded(own_functions.OwnCode(tmp_path, None, ()), "quality.py:recall")
