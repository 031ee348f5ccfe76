"""One network under every check: adopted, counted, priced, written, compressed; nothing is trained."""

import json
import re
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..evaluators.litert.lower import lower
from ..evaluators.measuring.measure import parameter_count
from ..hw_models.devices.device import Device
from ..hw_models.tables.network_table import layer_table
from ..spaces.errors import AtollError
from ..spaces.graph.adopt import adopt
from ..spaces.graph.heads import heads
from ..spaces.layers.parts import as_row, row_shape
from ..spaces.layers.structure import structure_changes, to_meta
from ..spaces.recipes.recipe import Recipe
from .file_answers import file_answers
from .patterns import Shapes, inputs, loss, targets
from .worlds import World

DEVICE = "coral-dev-board"
#: examples that norms and ranges are observed on, and those that an int8 file is compared on
SEEN, COMPARED = 64, 500
#: passes over the generated task, and how often they are made until almost every answer is right, and most
#: lead by a share of the outputs' span, before an int8 file is compared: a network that has not learnt makes
#: an answer of the smallest difference, of a step of the grid of 255 that its outputs lie on
EPOCHS, ROUNDS, LEARNT, LEAD = 8, 12, 0.99, 0.05
#: how far a float file may be off, in shares of the span of the outputs; an int8 one, where they are numbers;
#: and how many of the answers of an int8 file must be the same or so near
FLOAT_TOLERANCE, INT8_TOLERANCE, AGREEMENT = 1e-4, 0.01, 0.99
#: share of the weights that a technique is to reach
REACHED = 0.8
#: techniques by their name in the table: recipes whose last step is tried, quick settings
TECHNIQUES = {
    "prune_channels": "prune_channels(ratio=0.5)",
    "prune_weights": "prune_weights(ratio=0.5)",
    "tensor_train": "tensor_train(rank=4, fit_steps=0, kinds=all)",
    "tucker": "tucker(rank=0.25, fit_steps=0)",
    "cp": "cp(rank=8, fit_steps=0)",
    "svd": "svd(rank=2, kinds=all, fit_steps=0)",
    "cluster": "cluster(clusters=16)",
    "quantize": "quantize(bits=8)",
    "mixed_precision": "mixed_precision(bits=4)",
    "ternarize": "ternarize",
    "binarize": "binarize",
    "distill": "distill",
    "quantization_offset": "quantize(bits=8) -> quantization_offset(strength=1.0)",
}
#: those of which is counted how many weights they reach
REACHING = ("quantize", "prune_channels", "svd", "cluster")
BASIC = ("adopted", "multiplications", "priced", "float file", "int8 file")
COLUMNS = (*BASIC, *TECHNIQUES, *(f"reach of {name}" for name in REACHING))
#: layers with weights, of which attention, recurrent layers and what the output ties are not asked for
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
EXCEPTED, TIED = re.compile(r"attention|lstm|gru"), "the network's output"

Row = dict[str, Any]


class Failed(Exception):
    """A check that did not hold; the message says why."""


class Nothing(Failed):
    """A technique that works and finds nothing that it can change."""


class NotTried(Failed):
    """A check whose condition failed before."""


def _has_learnt(said: Tensor, wanted: Tensor) -> bool:
    """Whether answers [N, classes, ...] are those wanted [N, ...], and clearly so."""
    first, second = said.topk(2, dim=1).values.unbind(1)
    is_right = float((said.argmax(1) == wanted).float().mean()) >= LEARNT
    return is_right and float((first - second).median()) >= LEAD * float(said.max() - said.min())


def settled(build: Callable[[], nn.Module], shapes: Shapes) -> nn.Module:
    """Returns a network whose norms know such inputs and whose layer scales are not next to nothing."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = build()
        for name, parameter in network.named_parameters():
            if name.endswith("layer_scale"):
                parameter.fill_(0.3)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        network.train()(*inputs(shapes, SEEN, 1))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return network.eval()


def answers(network: nn.Module, given: tuple[Tensor, ...]) -> list[Tensor]:
    """Returns the heads of a network."""
    with torch.no_grad():
        return list(heads(network.eval()(*given)))


def off_by(found: list[Tensor], wanted: list[Tensor]) -> float:
    """Returns the largest difference in shares of the span of a head."""
    spans = [float(head.max() - head.min()) for head in wanted]
    if min(spans) < 1e-6:
        raise Failed("the network answers everything alike: nothing can be compared")
    pairs = zip(found, wanted, spans, strict=True)
    return max(float((one - other).abs().max()) / span for one, other, span in pairs)


def alike(found: Tensor, wanted: Tensor, regresses: bool) -> float:
    """Returns the share of answers that are the same: numbers about, of classes the largest one."""
    if regresses:
        near = (found - wanted).abs() <= INT8_TOLERANCE * (wanted.max() - wanted.min())
        return float(near.float().mean())
    return float((found.argmax(1) == wanted.argmax(1)).float().mean())


# The checks ------------------------------------------------------------------------------------------


class Trial:
    """One network under all checks; what one check makes, later ones use.

    Args:
        build: makes the network.
        shapes: of its inputs.
    """

    def __init__(self, build: Callable[[], nn.Module], shapes: Shapes) -> None:
        self.given, self.shapes = settled(build, shapes), shapes
        self.shape = row_shape(shapes)
        self.adopted: nn.Module | None = None
        self.after: dict[str, nn.Module] = {}
        self.left_alone: dict[str, dict[str, str]] = {}
        self.priced, self.written = False, False

    def world(self, epochs: int = 0) -> Any:
        """Returns a `World` of such inputs, which need not be images, and of several their rows."""
        seen = inputs(self.shapes, SEEN, 2)
        labels = targets(seen[0], answers(self.given, seen)[0], 2)
        return World(as_row(seen), labels, self.adopted, epochs=epochs, objective=loss)

    def adopted_exactly(self) -> float:
        network = adopt(self.given, self.shapes).eval()
        given = inputs(self.shapes, 4, 3)
        off = off_by(answers(network, given), answers(self.given, given))
        if off > 1e-5:
            raise Failed(f"the adopted network is off by {off:.1e} of the span")
        self.adopted = network
        return off

    def multiplications(self) -> float:
        network = self._network()
        on_paper = to_meta(self.given)  # torch does not count the attention that it runs on a processor
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            on_paper(*(torch.empty(1, *shape, device="meta") for shape in self.shapes))
        want, found = counter.get_total_flops() // 2, layer_table(network, self.shape).macs
        if found != want:
            raise Failed(f"{found} multiply-accumulates, torch counts {want}")
        parameters = sum(parameter.numel() for parameter in self.given.parameters())
        if parameter_count(network) != parameters:
            raise Failed(f"{parameter_count(network)} parameters, the network has {parameters}")
        return found

    def price(self) -> float:
        latency = Device.load(DEVICE).predict(layer_table(self._network(), self.shape))["latency_ms"].value
        self.priced = True
        return latency

    def float_file(self) -> float:
        given = inputs(self.shapes, 4, 3)
        wanted = answers(self._network(), given)
        off = off_by(file_answers(lower(self._network(), self.shape), given, wanted), wanted)
        if off > FLOAT_TOLERANCE:
            raise Failed(f"the file is off by {off:.1e} of the span, allowed is {FLOAT_TOLERANCE:g}")
        self.written = True
        return off

    def int8_file(self) -> float:
        network = self._trained()
        (step,) = Recipe.parse("quantize(bits=8)")
        network, _ = step.apply(network, self.world())
        given = inputs(self.shapes, COMPARED, 3)
        wanted = answers(network, given)
        found = file_answers(lower(network, self.shape), given, wanted)
        regresses = targets(given[0], wanted[0], 3).is_floating_point()
        agreement = alike(found[0], wanted[0], regresses)
        if agreement < AGREEMENT:
            raise Failed(
                f"the file agrees on {agreement:.1%}, and is off by {off_by(found, wanted):.1%} of the span"
            )
        return agreement

    def _trained(self) -> nn.Module:
        network = deepcopy(self._network())
        for _ in range(ROUNDS):
            self.world(EPOCHS).fit(network)
            given = inputs(self.shapes, COMPARED, 4)
            said = answers(network, given)[0]
            wanted = targets(given[0], said, 4)
            if wanted.is_floating_point() or _has_learnt(said, wanted):
                break
        return network

    def technique(self, name: str) -> float:
        before, network = self._network(), self._network()
        world = self.world()
        for step in Recipe.parse(TECHNIQUES[name]):
            before = network
            step.plan(before)
            network, decisions = step.apply(before, world)
        given = inputs(self.shapes, 4, 3)
        found = answers(network, given)
        if not all(head.isfinite().all() for head in found):
            raise Failed("the compressed network does not answer in finite numbers")
        rebuilt = step.rebuild(before, json.loads(json.dumps(decisions)))
        rebuilt.load_state_dict(network.state_dict())
        if not all(torch.equal(a, b) for a, b in zip(answers(rebuilt, given), found, strict=True)):
            raise Failed("what is rebuilt answers otherwise")
        if self.priced:
            layer_table(network, self.shape)
        if self.written:
            lower(network, self.shape)
        self.after[name], self.left_alone[name] = network, decisions.get("left_alone", {})
        changed = len(structure_changes(before, network))
        if not changed and step.stage not in ("training",) and name != "quantization_offset":
            raise Nothing(self._reasons(name))
        return changed

    def reach(self, name: str) -> float:
        if name not in self.after:
            raise NotTried(f"{name} failed")
        told = self.left_alone[name]
        sizes = {
            path: module.weight.numel()
            for path, module in self.given.named_modules()
            if isinstance(module, WEIGHTED) and not EXCEPTED.search(path) and _told(told, path) != TIED
        }
        if not sizes:
            raise NotTried("no layer but such as are excepted")
        changed = structure_changes(self._network(), self.after[name])
        share = sum(size for path, size in sizes.items() if path in changed) / sum(sizes.values())
        if share < REACHED:
            missed = {path: size for path, size in sizes.items() if path not in changed}
            largest = sorted(missed, key=missed.__getitem__, reverse=True)[:4]
            said = "; ".join(f"{path}: {_told(told, path)}" for path in largest)
            raise Failed(f"{share:.0%} of the weights, left alone are above all {said}")
        return share

    def _network(self) -> nn.Module:
        if self.adopted is None:
            raise NotTried("not adopted")
        return self.adopted

    def _reasons(self, name: str) -> str:
        return "; ".join(sorted(set(self.left_alone[name].values()))) or "nothing was left alone either"


def _told(left_alone: dict[str, str], path: str) -> str:
    return next((why for paths, why in left_alone.items() if path in paths.split(", ")), "no word of it")


def checks(trial: Trial) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yields the checks in order, by the names of columns."""
    yield from zip(
        BASIC,
        (trial.adopted_exactly, trial.multiplications, trial.price, trial.float_file, trial.int8_file),
        strict=True,
    )
    for name in TECHNIQUES:
        yield name, partial(trial.technique, name)
    for name in REACHING:
        yield f"reach of {name}", partial(trial.reach, name)


def rows(name: str, build: Callable[[], nn.Module], shapes: Shapes) -> Iterator[Row]:
    """Yields a row for every check of a network.

    Args:
        name: of the network.
        build: makes it.
        shapes: of its inputs, without the batch.
    """
    trial = Trial(build, shapes)
    for check, run in checks(trial):
        started, value, sentence = time.monotonic(), None, ""
        try:
            value, outcome = run(), "yes"
        except Nothing as error:
            outcome, sentence = "nothing", str(error)
        except NotTried as error:
            outcome, sentence = "not tried", str(error)
        except (AtollError, Failed) as error:
            outcome, sentence = "no", str(error)
        except Exception as error:  # what fails is a row, whatever it is
            outcome, sentence = "no", f"{type(error).__name__}: {error}"
        seconds = round(time.monotonic() - started, 2)
        yield {
            "network": name, "check": check, "outcome": outcome, "value": value, "sentence": sentence,
            "seconds": seconds,
        }  # fmt: skip
