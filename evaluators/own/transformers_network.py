"""A model of the package transformers as a network: by its configuration, with weights by their old names."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.exported.front_end import quiet
from ...spaces.nearest import known_names
from .mistake import TaskMistake
from .weights_file import without_prefix


class Logits(nn.Module):
    """A model of transformers as a network: pixels in, logits out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images).logits

    def in_own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns a state dict in the names of the installed transformers, whose files keep older ones.

        Args:
            state: as `save_pretrained` wrote it, or a training loop. What has no place keeps its name.
        """
        given = without_prefix(state, self.model.state_dict())
        model: Any = type(self.model)
        with quiet():  # it fills what is missing at random, and tells so
            filled, told = model.from_pretrained(
                None, config=self.model.config, state_dict=given, output_loading_info=True,
                ignore_mismatched_sizes=True,
            )  # fmt: skip
        mismatched = {name: torch.empty(shape, device="meta") for name, shape, _ in told["mismatched_keys"]}
        named = {
            name: tensor for name, tensor in filled.state_dict().items() if name not in told["missing_keys"]
        }
        return {**named, **mismatched, **{name: given[name] for name in told["unexpected_keys"]}}


def of_transformers(
    transformers: Any, folder: Path, name: str, classes: int, arguments: Mapping[str, Any]
) -> Logits:
    """Builds a classifier of images by its configuration, with weights drawn at random.

    Args:
        transformers: the package.
        folder: where `config.json` is looked for.
        name: of a class of configurations, or a `config.json`.
        classes: how many the data have; 0 where they do not tell.
        arguments: for the configuration.

    Raises:
        AtollError: there is no such configuration, or it does not know an argument.
    """
    options = {"num_labels": classes, **arguments} if classes else dict(arguments)
    if name.endswith(".json"):
        if not (folder / name).is_file():
            raise AtollError(f"there is no file {folder / name}")
        automatic, path = transformers.AutoConfig, str(folder / name)
        # else it asks on the terminal whether code that the file names is to be downloaded and run
        make: Any = partial(automatic.from_pretrained, path, trust_remote_code=False)
    else:
        known = [one for one in dir(transformers) if one.endswith("Config")]
        if name not in known:
            near = known_names(name, known).partition("Known: ")[0]
            raise AtollError(f"transformers has no configuration {name!r}; {near}allowed is ViTConfig, say")
        make = getattr(transformers, name)
    plain = make()
    for option in options:  # it takes any without a word
        if not hasattr(plain, option):
            own = [one for one in vars(plain) if not one.startswith("_")]
            raise TaskMistake(
                f"{name}: unknown argument {option!r}; {known_names(option, own)}", ("arguments", option)
            )
    config = make(**options)
    config.architectures = config.architectures or []  # it looks in them where several classes fit
    automatic = transformers.AutoModelForImageClassification
    return Logits(automatic.from_config(config, trust_remote_code=False))
