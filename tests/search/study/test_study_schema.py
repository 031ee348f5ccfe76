"""The schema of study files: what is allowed passes, a typo does not, and every key is described."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from atoll.evaluators.own.task import Task
from atoll.search.study.study import Study
from atoll.search.study.study_file import STUDIES_FOLDER, built_in_studies
from atoll.search.study.study_schema import study_schema
from atoll.search.study.yaml_values import read_yaml

OWN = """
task:
  network: nets.py:build
  arguments: {width: 32}
  weights: parts.safetensors
  data: data/parts
  input: {size: 96x96, channels: 3, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}
  classes: 7
  head: new
  augment: [mirror, shift, rotation, scale, crop]
  quality: accuracy
  loss: cross_entropy
  epochs_per_step: 2
  batch_size: 64
  learning_rate: 1.0e-3
  skip_bad: true
techniques: [quantize, svd]
settings:
  quantize: {bits: [8, 4]}
limits: {ensembles: 3}
resources: {cpu: 2, gpu: 0.5}
"""


def mistakes(text: str) -> list[str]:
    """Return where a study is not what the schema allows."""
    checker = jsonschema.Draft202012Validator(study_schema())
    return [".".join(map(str, error.path)) for error in checker.iter_errors(read_yaml(text).values)]


def test_it_is_a_schema_in_json() -> None:
    found = json.loads(json.dumps(study_schema(), allow_nan=False))
    jsonschema.Draft202012Validator.check_schema(found)


@pytest.mark.parametrize("name", built_in_studies())
def test_the_studies_that_come_along_are_allowed(name: str) -> None:
    assert mistakes((STUDIES_FOLDER / f"{name}.yaml").read_text()) == []


def test_a_task_of_ones_own_is_allowed_in_every_form() -> None:
    assert mistakes(OWN) == []
    assert mistakes("task: parts.py:TASK") == []
    data = "{path: parts, group: patient, shares: [0.8, 0.1, 0.1]}"
    quality = "{function: m.py:recall, higher_is_better: true}"
    assert mistakes(f"task: {{network: a.pt2, data: {data}, quality: {quality}, input: {{size: 32}}}}") == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("weights:", "wieghts:"),
        ("size: 96x96", "size: 96 by 96"),
        ("channels: 3", "channels: many"),
        ("mirror,", "miror,"),
        ("quality: accuracy", "quality: acuracy"),
        ("[quantize, svd]", "[quantise, svd]"),
        ("bits: [8, 4]", "bit: [8, 4]"),
        ("ensembles: 3", "ensembles: 0"),
        ("data: data/parts", "data: {folder: data/parts}"),
    ],
)
def test_a_mistake_is_marked(right: str, wrong: str) -> None:
    assert right in OWN and mistakes(OWN.replace(right, wrong))


def test_every_key_is_there_and_described() -> None:
    found = study_schema()

    def check(schema: dict[str, Any], model: Any) -> None:
        assert set(schema["properties"]) == set(model.model_fields)
        assert all(len(key["description"]) > 5 for key in schema["properties"].values())

    check(found, Study)
    check(found["$defs"]["Task"], Task)
    described = found["$defs"]["Task"]["properties"]
    assert described["batch_size"]["description"] == "inputs a step of training."
    assert described["patience"]["description"].startswith("epochs without a better validation")


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from atoll.search.commands.cli import main

    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(study_schema()))
    file = tmp_path / "study.schema.json"
    assert main(["schema", "--output", str(file)]) == 0
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(json.dumps(study_schema()))
