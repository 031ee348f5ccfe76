"""A student cut out of its teacher."""

import torch
from atoll.spaces.channels.student import cut_student
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from torch import nn

SHAPE = (1, 8, 8)


def network(name: str, seed: int) -> nn.Module:
    built = build_network(name, 4, SHAPE, torch.Generator().manual_seed(seed))
    return adopt(built, SHAPE).eval()


def test_a_student_of_the_same_size_is_its_teacher() -> None:
    teacher, student = network("compact_cnn", 0), network("compact_cnn", 1)
    assert cut_student(teacher, student)
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(student(x), teacher(x))


def test_the_largest_channels_are_cut_out() -> None:
    teacher, student = network("baseline_cnn", 0), network("compact_cnn", 1)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    assert cut_student(teacher, student)
    theirs = teacher.get_submodule("features.conv1").output_rows()
    kept = student.get_submodule("features.conv1").output_rows()
    order = theirs.abs().flatten(1).mean(1).argsort(descending=True)[: len(kept)].sort().values
    assert torch.equal(kept, theirs[order])
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_a_student_of_another_make_is_left_as_it_was(trained: dict[str, nn.Module]) -> None:
    student = adopt(build_network("compact_cnn", 4, (1, 16, 16)), (1, 16, 16))
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    assert not cut_student(trained["sequential"], student)
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.state_dict().items())


def test_a_larger_student_cannot_be_cut() -> None:
    assert not cut_student(network("compact_cnn", 0), network("baseline_cnn", 1))


def test_tensors_between_the_layers_have_to_fit_too() -> None:
    """Slopes of a PReLU belong to no layer of ours: channels that it reads cannot be removed."""

    def made(slopes: int) -> nn.Module:
        layers = nn.Conv2d(1, 4, 3), nn.PReLU(slopes), nn.Flatten(), nn.Linear(144, 3)
        return adopt(nn.Sequential(*layers), SHAPE).eval()

    assert cut_student(made(4), made(4))
    assert not cut_student(made(4), made(1))
