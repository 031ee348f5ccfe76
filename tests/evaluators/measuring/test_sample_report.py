"""Single samples of a file beside its network: told by hand over a few outputs."""

import pytest
import torch
from atoll.evaluators.measuring.sample_report import (
    MOST_CLASSES,
    WORST,
    Confusion,
    Disagreement,
    sample_report,
)
from atoll.evaluators.tasks.number_qualities import MeanAbsoluteError
from atoll.evaluators.tasks.quality import ACCURACY, OfOutputs
from atoll.evaluators.training.judged_outputs import JudgedOutputs
from torch import Tensor

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def logits(chosen: list[int]) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(chosen), 3).float()


NETWORK = logits([0, 1, 2, 0, 1, 2, 1, 1])


def off(*differences: float) -> Tensor:
    """The network's logits, each sample's chosen one larger by a difference."""
    return NETWORK * (1 + torch.tensor(differences).unsqueeze(1))


def test_another_choice_is_worse_than_a_difference_and_the_furthest_is_told() -> None:
    found = off(0.0, 0.1, 0.2, 0.3, 0.4, 9.0, 0.6, 0.7)
    found[:5] = found[:5].roll(1, dims=1)  # chooses otherwise
    report = sample_report(found, NETWORK, LABELS, ACCURACY)
    assert [one.sample for one in report.disagreements] == [4, 3, 2, 1, 5]
    assert report.disagreements[0] == Disagreement(4, pytest.approx(1.4), 1, 1, 2)
    assert report.disagreements[-1] == Disagreement(5, pytest.approx(9.0), 2, 2, 2)


def test_equal_ones_come_in_the_order_of_the_split_and_exact_ones_not_at_all() -> None:
    report = sample_report(off(0, 0.5, 0, 0.5, 0.5, 0, 0, 0), NETWORK, LABELS, ACCURACY)
    assert [one.sample for one in report.disagreements] == [1, 3, 4]
    assert sample_report(NETWORK, NETWORK, LABELS, ACCURACY).disagreements == []
    assert len(sample_report(NETWORK + 1, NETWORK, LABELS, ACCURACY).disagreements) == WORST


def test_which_samples_are_told_can_be_said() -> None:
    report = sample_report(off(*range(8)), NETWORK, LABELS, ACCURACY, [0, 7])
    assert [(one.sample, one.difference) for one in report.disagreements] == [(0, 0.0), (7, 7.0)]


def test_classes_are_counted_as_the_file_takes_them() -> None:
    report = sample_report(logits([0, 1, 1, 0, 2, 1, 0, 2]), NETWORK, LABELS, ACCURACY)
    assert report.matrix == [[3, 0, 0], [0, 1, 2], [0, 2, 0]]
    assert report.confusions == [Confusion(1, 2, 2), Confusion(2, 1, 2)]


def test_many_classes_have_confusions_and_no_matrix() -> None:
    found = torch.eye(MOST_CLASSES + 1)
    labels = torch.arange(MOST_CLASSES + 1).roll(1)
    report = sample_report(found, found, labels, ACCURACY)
    assert report.matrix is None and report.confusions[0] == Confusion(0, 1, 1)
    assert sample_report(found[1:, 1:], found[1:, 1:], labels[1:], ACCURACY).matrix is not None


@pytest.mark.parametrize(
    ("outputs", "labels", "quality"),
    [
        (torch.zeros(8, 1), LABELS.float(), MeanAbsoluteError()),
        (torch.zeros(8, 3, 2, 2), torch.zeros(8, 2, 2, dtype=torch.int64), ACCURACY),
        ((NETWORK, NETWORK), LABELS, OfOutputs(ACCURACY, JudgedOutputs(("a", "b"), False))),
    ],
)
def test_where_no_class_is_chosen_for_a_sample_none_is_told(outputs, labels, quality) -> None:
    others = tuple(one + 1 for one in outputs) if isinstance(outputs, tuple) else outputs + 1
    report = sample_report(others, outputs, labels, quality)
    assert (report.matrix, report.confusions) == (None, [])
    assert [(one.difference, one.label, one.file) for one in report.disagreements] == [
        (1.0, None, None)
    ] * WORST


def test_of_several_outputs_the_judged_one_chooses_and_all_differ() -> None:
    quality = OfOutputs(ACCURACY, JudgedOutputs(("a", "b"), False, chosen=1))
    other = torch.zeros(8, 2, 2)
    report = sample_report((other + 5, NETWORK), (other, NETWORK), LABELS, quality)
    assert report.matrix is not None and [one.difference for one in report.disagreements] == [5.0] * WORST
