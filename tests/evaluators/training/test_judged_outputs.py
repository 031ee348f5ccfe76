"""Several outputs: which are judged, what loss and quality see of them, and what is compared."""

import pickle

import pytest
import torch
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.measuring.artifact import artifact_bytes, largest_differences, verify_artifact
from atoll.evaluators.measuring.file_ends import file_outputs
from atoll.evaluators.tasks.qualities import quality_named
from atoll.evaluators.tasks.quality import ACCURACY, OfOutputs
from atoll.evaluators.training.judged_outputs import JudgedOutputs
from atoll.evaluators.training.losses import cross_entropy, loss_named
from atoll.evaluators.training.prediction import predict_logits
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.heads import named_heads
from atoll.spaces.kernels.distillation import response_loss, responses_loss
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing.worlds import bars_world
from torch import Tensor, nn

KIND, PLACE = (
    torch.randn(40, 4, generator=torch.Generator().manual_seed(0)),
    torch.linspace(0, 1, 80).reshape(40, 2),
)
RETURNED = {"kind": KIND, "place": PLACE}
LABELS = torch.arange(40) % 4


class Two(nn.Module):
    """Classes and two numbers, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.kind, self.place = nn.Linear(8, 4), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = torch.relu(self.conv(x)).mean((2, 3))
        return {"kind": self.kind(x), "place": self.place(x)}


class OfTwoInputs(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(5, 4)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(first) + self.second(second), self.second(second)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return adopt(Two(), (1, 16, 16)).eval()


def within(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    """A user's quality of all outputs."""
    return (outputs["kind"].argmax(1) == targets).float().mean() * outputs["place"].mean()


def test_names_are_keys_positions_and_the_way_to_them() -> None:
    assert list(named_heads({"a": (KIND, PLACE), "b": KIND})) == ["a.0", "a.1", "b"]


@pytest.mark.parametrize("output", ["place", 1])
def test_one_output_is_judged_by_name_or_position(output: str | int) -> None:
    judged = JudgedOutputs.of(RETURNED, output, ())
    assert judged.shown(RETURNED) is PLACE and judged.shown((KIND, PLACE)) is PLACE
    assert judged == JudgedOutputs.from_json(judged.to_json()) == pickle.loads(pickle.dumps(judged))
    quality = OfOutputs(quality_named("mean_absolute_error", unit="mm"), judged)
    assert (quality.name, quality.unit, quality.higher_is_better) == ("mean_absolute_error", "mm", False)
    assert quality.measure((KIND, PLACE), PLACE + 0.5) == pytest.approx(0.5)
    assert quality.agreement((KIND, PLACE), (-KIND, PLACE)) == 1.0, "nobody looks at the other"
    assert judged.loss(loss_named("l1"), RETURNED, PLACE + 0.25) == pytest.approx(0.25)


def test_all_are_judged_in_the_form_in_which_the_network_returns_them() -> None:
    assert JudgedOutputs.of((KIND, PLACE), None, ()).shown((KIND, PLACE)) == (KIND, PLACE)
    judged = JudgedOutputs.of(RETURNED, None, ("kind",))
    quality = OfOutputs(quality_named(within, higher_is_better=True, of_classes=False), judged)
    right = sum(int(KIND[n].argmax()) == int(LABELS[n]) for n in range(40)) / 40
    assert quality.measure((KIND, PLACE), LABELS) == pytest.approx(right * float(PLACE.mean()))


def test_the_agreement_of_several_is_that_of_the_worst_each_in_its_own_sense() -> None:
    judged = JudgedOutputs.of(RETURNED, None, ("kind",))
    quality = OfOutputs(quality_named(within, higher_is_better=True, of_classes=False), judged)
    kind, place = KIND.clone(), PLACE.clone()
    kind[0] = -kind[0]  # another choice
    place[:4, 0] += 0.02  # beyond 1 % of the span
    assert quality.agreement((KIND, PLACE), (kind, PLACE)) == 39 / 40
    assert quality.agreement((KIND, PLACE), (KIND + 0.1, place)) == 76 / 80
    assert quality.agreement((kind, place), (KIND, PLACE)) == min(39 / 40, 76 / 80)
    with pytest.raises(AtollError, match="got 2 and 1 outputs to compare, allowed of each are 2"):
        quality.agreement((KIND, PLACE), KIND)


@pytest.mark.parametrize("output", ["knid", 2])
def test_an_output_that_is_not_there_is_named(output: str | int) -> None:
    with pytest.raises(AtollError, match=f"the network has no output {output!r}"):
        JudgedOutputs.of(RETURNED, output, ())
    with pytest.raises(AtollError, match=f"no output {output!r}; it has one alone, which needs no `output`"):
        JudgedOutputs.of(KIND, output, ())


def test_a_network_of_two_outputs_answers_with_both_and_its_file_too() -> None:
    given, images = network(), torch.randint(0, 256, (20, 1, 16, 16), dtype=torch.uint8)
    kind, place = predict_logits(given, images, batch_size=7)
    wanted = given(images.float() / 127.5 - 1)
    torch.testing.assert_close((kind, place), (wanted["kind"].detach(), wanted["place"].detach()))
    content = artifact_bytes(given, (1, 16, 16))
    judged = JudgedOutputs.of(wanted, "kind", ())
    found = verify_artifact(
        content, given, images, torch.zeros(20, dtype=torch.long), quality=OfOutputs(ACCURACY, judged)
    )
    assert found.agreement == 1.0 and found.largest_difference < 1e-4
    assert found.quality == found.network_quality == int((kind.argmax(1) == 0).sum()) / 20


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (PLACE * torch.nan, "output 1 of the file is off its network's by nan, allowed are finite"),
        (PLACE[:, :1], "the file gives 40x4 and 40x1, allowed is what its network gives, 40x4 and 40x2"),
    ],
)
def test_an_output_that_nobody_judges_is_compared_too(place: Tensor, said: str) -> None:
    assert largest_differences((KIND, PLACE), (KIND, PLACE + 0.5)) == [0, pytest.approx(0.5)]
    with pytest.raises(AtollError, match=said):
        largest_differences((KIND, place), (KIND, PLACE))


def test_a_file_of_two_outputs_is_not_run_as_one_of_one() -> None:
    runner = LiteRtRunner(artifact_bytes(adopt(OfTwoInputs(), ((3,), (5,))).eval(), (8,)))
    with pytest.raises(AtollError, match="2 outputs, allowed is one: see run_heads"):
        runner.run(torch.zeros(2, 8).numpy())
    assert [head.shape for head in runner.run_heads(torch.zeros(8).numpy())] == [(1, 4), (1, 4)]


@pytest.mark.parametrize("recipe", ["", "quantize(bits=8)"])
def test_the_outputs_of_a_file_are_what_litert_says(recipe: str) -> None:
    given = network()
    for step in Recipe.parse(recipe) if recipe else ():
        given, _ = step.apply(given, bars_world(epochs=0))
    content = artifact_bytes(given, (1, 16, 16))
    for told, details in zip(
        file_outputs(content, ("kind", "place")), LiteRtRunner(content).outputs, strict=True
    ):
        assert told.shape == details["shape"].tolist() and told.type == details["dtype"].__name__
        assert (told.scale or 0.0, told.zero_point or 0) == details["quantization"]
        assert (told.scale is None) == (recipe == "")
    with pytest.raises(AtollError, match="got 1 names of outputs, allowed are 2, the file's"):
        file_outputs(content, ("kind",))


def test_the_response_of_several_outputs_is_the_mean_of_each() -> None:
    hard = torch.tensor(2.0)
    ours, theirs = [KIND, PLACE], [KIND.flip(0), PLACE.flip(0)]
    for numbers in (False, True):
        labels = LABELS.float() if numbers else LABELS
        each = [
            response_loss(*pair, labels, 3.0, 0.3, lambda *_: hard) for pair in zip(ours, theirs, strict=True)
        ]
        found = responses_loss(hard, list(zip(ours, theirs, strict=True)), numbers, 3.0, 0.3)
        torch.testing.assert_close(found, sum(each) / 2)


class OfTwo(type(bars_world())):  # type: ignore[misc]
    """A world whose task judges both outputs by its loss."""

    def __init__(self, teacher: nn.Module, epochs: float) -> None:
        world = bars_world()
        super().__init__(*world.examples(128), teacher, epochs=epochs)
        self.criterion = lambda returned, labels: cross_entropy(
            next(iter(named_heads(returned).values())), labels
        )


@pytest.mark.parametrize(
    "text", ["distill(alpha=0)", "distill(alpha=0, kind=relation)", "quantization_offset"]
)
def test_every_output_comes_nearer_to_the_teachers(text: str) -> None:
    teacher = network()
    (step,) = Recipe.parse(text)
    student = adopt(Two(), (1, 16, 16))
    student.load_state_dict(teacher.state_dict())
    with torch.no_grad():
        for head in (student.kind, student.place):
            head.weight.set(-head.weight.effective())
    world = OfTwo(teacher, epochs=20)
    found, _ = step.apply(student, world)
    images = world.images(64)

    def said(output: Tensor) -> Tensor:  # of classes probabilities are taught
        return output.softmax(1) if step.name == "distill" else output

    for name in ("kind", "place"):
        before, behind, wanted = (
            said(one.eval()(images)[name].detach()) for one in (student, found, teacher)
        )
        assert (behind - wanted).square().mean() < 0.5 * (before - wanted).square().mean(), name
