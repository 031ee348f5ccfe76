"""What is measured: every technique alone at three strengths, the demo's with three seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques import TECHNIQUES, technique_named

#: technique -> steps from mild to strong; others take theirs from the search grid of their first setting
STRENGTHS: dict[str, tuple[str, ...]] = {
    "prune_channels": tuple(f"prune_channels(ratio={ratio})" for ratio in (0.25, 0.5, 0.75)),
    "prune_weights": tuple(f"prune_weights(ratio={ratio})" for ratio in (0.5, 0.75, 0.9)),
    "tensor_train": tuple(f"tensor_train(rank={rank})" for rank in (16, 8, 4)),
    "tucker": tuple(f"tucker(rank={rank})" for rank in (0.5, 0.25, 0.125)),
    "svd": tuple(f"svd(rank={rank})" for rank in (16, 8, 4)),
    "cluster": tuple(f"cluster(clusters={clusters})" for clusters in (32, 16, 8)),
    "quantize": tuple(f"quantize(bits={bits})" for bits in (8, 4, 2)),
    "ternarize": ("ternarize", "ternarize(threshold=0.9)", "ternarize(first_last=ternary)"),
    "binarize": ("binarize", "binarize(first_last=binary)", "binarize(activations=binary)"),
    "distill": (
        "distill(temperature=4.0)",
        "distill(temperature=4.0, kind=feature)",
        "distill(temperature=4.0, student=compact_cnn)",
    ),
    "quantization_offset": tuple(
        f"quantize(bits={bits}) -> quantization_offset(strength=1.0)" for bits in (8, 4, 2)
    ),
}
#: those that the built-in study searches: their figures must tell more than one run can
DEMO = (
    "prune_channels",
    "prune_weights",
    "tensor_train",
    "tucker",
    "cluster",
    "quantize",
    "binarize",
    "distill",
)
SEEDS, DEMO_SEEDS = (0,), (0, 1, 2)
MOST_STRENGTHS = 3


@dataclass(frozen=True)
class Run:
    """One recipe with one seed; the empty recipe is the baseline of its seed."""

    recipe: Recipe
    seed: int

    def __str__(self) -> str:
        return f"{self.recipe} seed {self.seed}"


def strengths(technique: type[Technique]) -> tuple[Recipe, ...]:
    """Returns recipes that end in the technique, mild to strong where somebody said what that is.

    A technique that needs another before it comes after the first one of that stage.
    """
    if technique.name in STRENGTHS:
        return tuple(Recipe.parse(text) for text in STRENGTHS[technique.name])
    before = [earlier() for earlier in TECHNIQUES if earlier.stage == technique.needs_stage][:1]
    setting, domain = next(iter(technique.domains().items()))
    grid = list(domain.grid)
    last = len(grid) - 1
    places = dict.fromkeys(round(n * last / (MOST_STRENGTHS - 1)) for n in range(MOST_STRENGTHS))
    steps = [technique.from_settings({setting: grid[place]}) for place in places]
    return tuple(Recipe((*before, step)) for step in steps)


def chosen_techniques(names: Sequence[str]) -> tuple[type[Technique], ...]:
    """Returns the named techniques in the order of the package, all where none is named.

    Raises:
        AtollError: for an unknown name.
    """
    wanted = {technique_named(name) for name in names}
    return tuple(technique for technique in TECHNIQUES if not wanted or technique in wanted)


def runs(techniques: Sequence[type[Technique]], seeds: int | None = None) -> list[Run]:
    """Returns what is to be run: the first seed of everything before the others, a baseline before each.

    Args:
        techniques: those that are measured.
        seeds: how many seeds for every technique; one, and three for the demo's, if None.

    Raises:
        AtollError: not one seed at least.
    """
    if seeds is not None and seeds < 1:
        raise AtollError(f"seeds: got {seeds}, allowed is a whole number from 1")
    found: list[Run] = []
    for seed in range(seeds if seeds is not None else len(DEMO_SEEDS)):
        those = [t for t in techniques if seeds is not None or seed in _seeds(t)]
        if those:
            found.append(Run(Recipe(), seed))
        found += [Run(recipe, seed) for technique in those for recipe in strengths(technique)]
    return found


def _seeds(technique: type[Technique]) -> tuple[int, ...]:
    return DEMO_SEEDS if technique.name in DEMO else SEEDS
