"""Models of transformers by their configuration, against a stand-in: the package is not among the pinned."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from atoll.evaluators.own.network_source import build
from atoll.evaluators.own.transformers_network import of_transformers
from atoll.evaluators.own.weights_file import fill
from atoll.evaluators.tasks.user_code import UserCode
from atoll.spaces.errors import AtollError
from torch import Tensor, nn


class Classifier(nn.Module):
    """Keeps in its files what is `dense` today under the name `encoder.dense`, as transformers does."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.dense, self.classifier = nn.Linear(3, config.width), nn.Linear(config.width, config.num_labels)

    def forward(self, images: Tensor) -> Any:
        return SimpleNamespace(logits=self.classifier(self.dense(images)), loss=None)

    @classmethod
    def from_pretrained(
        cls,
        path: None,
        config: Any,
        state_dict: Mapping[str, Tensor],
        output_loading_info: bool,
        ignore_mismatched_sizes: bool,
    ) -> tuple[nn.Module, dict[str, Any]]:
        made = cls(config)
        own = made.state_dict()
        given = {name.removeprefix("encoder."): tensor for name, tensor in state_dict.items()}
        wrong = {n: t for n, t in given.items() if n in own and t.shape != own[n].shape}
        made.load_state_dict({n: t for n, t in given.items() if n in own and n not in wrong}, strict=False)
        told = {
            "missing_keys": own.keys() - given.keys(),
            "unexpected_keys": given.keys() - own.keys(),
            "mismatched_keys": {(n, t.shape, own[n].shape) for n, t in wrong.items()},
        }
        return made, told


class SmallConfig:
    """Takes any argument without a word."""

    def __init__(self, num_labels: int = 2, width: int = 4, **others: Any) -> None:
        self.num_labels, self.width, self.architectures = num_labels, width, None
        vars(self).update(others)


def asked_whether_code_may_run(told: Mapping[str, Any], trusted: bool | None) -> None:
    """Does as transformers with a configuration that names code: asks where it was not told."""
    if "auto_map" in told:
        if trusted is None:
            input("Do you wish to run the custom code? [y/N]")
        raise ValueError("contains custom code")


class Auto:
    """Reads a configuration; finds the class that fits one, of several by the names that it holds."""

    @staticmethod
    def from_config(config: Any, trust_remote_code: bool | None = None) -> nn.Module:
        asked_whether_code_may_run(vars(config), trust_remote_code)
        return Classifier(config) if "another" not in [*config.architectures] else nn.Identity()

    @staticmethod
    def from_pretrained(path: str, trust_remote_code: bool | None = None, **options: Any) -> SmallConfig:
        told = json.loads(Path(path).read_text())
        asked_whether_code_may_run(told, trust_remote_code)
        return SmallConfig(**{**told, **options})


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in for transformers."""
    made = ModuleType("transformers")
    vars(made).update(SmallConfig=SmallConfig, AutoConfig=Auto, AutoModelForImageClassification=Auto)
    monkeypatch.setitem(__import__("sys").modules, "transformers", made)
    return made


def test_a_configuration_by_name_or_file_gives_logits_of_the_datas_classes(
    package: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"width": 6}')
    code = UserCode(tmp_path)
    named = build("transformers:SmallConfig", {"width": 5}, code, 7, (3,))
    read = build("transformers:config.json", {}, code, 7, (3,))
    assert named(torch.zeros(2, 3)).shape == read(torch.zeros(2, 3)).shape == (2, 7)
    widths = [network.get_submodule("model.dense").out_features for network in (named, read)]
    assert widths == [5, 6]


@pytest.mark.parametrize("source", ["config.json", "SmallConfig"])
def test_code_that_a_configuration_names_is_refused_unasked(
    source: str, package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: pytest.fail(prompt))
    monkeypatch.setattr(SmallConfig, "auto_map", {}, raising=False)
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoConfig": "theirs--code.Config"}}')
    with pytest.raises(AtollError, match="contains custom code"):
        build(f"transformers:{source}", {"auto_map": {}}, UserCode(tmp_path), 7, (3,))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("SmalConfig", {}, "transformers has no configuration 'SmalConfig'; did you mean 'SmallConfig'"),
        ("none/config.json", {}, "there is no file .*none/config.json"),
        ("SmallConfig", {"witdh": 3}, "SmallConfig: unknown argument 'witdh'; did you mean 'width'"),
    ],
)
def test_what_it_does_not_know_is_named(
    name: str, arguments: dict[str, Any], message: str, package: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(AtollError, match=message) as told:
        of_transformers(package, tmp_path, name, 3, arguments)
    assert getattr(told.value, "where", ()) == (("arguments", *arguments) if arguments else ())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_fit_by_the_names_that_its_files_have(
    prefix: str, package: ModuleType, tmp_path: Path
) -> None:
    network = of_transformers(package, tmp_path, "SmallConfig", 3, {})
    given = {
        "encoder.dense.weight": torch.full((4, 3), 2.0), "encoder.dense.bias": torch.full((4,), 3.0),
        "classifier.weight": torch.full((3, 4), 4.0), "classifier.bias": torch.full((3,), 5.0),
    }  # fmt: skip
    fill(network, network.in_own_names({f"{prefix}{name}": tensor for name, tensor in given.items()}), "it")
    assert {float(tensor.unique()) for tensor in network.state_dict().values()} == {2.0, 3.0, 4.0, 5.0}


def test_what_does_not_fit_is_said_and_nothing_is_filled_at_random(
    package: ModuleType, tmp_path: Path
) -> None:
    network = of_transformers(package, tmp_path, "SmallConfig", 3, {})
    given = {
        "encoder.dense.weight": torch.zeros(4, 9), "encoder.dense.bias": torch.zeros(4),
        "classifier.weight": torch.zeros(3, 4), "surplus": torch.zeros(1),
    }  # fmt: skip
    with pytest.raises(AtollError, match="it does not fit the network, 3 differences: ") as told:
        fill(network, network.in_own_names(given), "it")
    assert "dense.weight has shape [4, 9], needed is [4, 3]" in str(told.value)
    assert "classifier.bias [3] is missing; " in str(told.value)
    assert str(told.value).endswith("surplus [1] is unknown to the network")
