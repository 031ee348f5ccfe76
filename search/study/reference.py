"""What every study runs first: the reference set that freezes the scales, and the papers' ensemble."""

from ...spaces.recipes.recipe import Recipe

#: Raised when `REFERENCE` changes: scores on other scales are not comparable.
REFERENCE_VERSION = 1

#: The baseline and the papers' five techniques alone at the papers' settings (THESIS table 6, PUB-I table 2).
REFERENCE: tuple[str, ...] = (
    "baseline",
    "quantize(bits=8)",
    "binarize",
    "prune_weights",
    "tensor_train(rank=4)",
    "distill(student=compact_cnn)",
)

#: QuanTT (THESIS ch. 4, PUB-II's TT-V): its mode shapes where the layer is theirs, automatic ones elsewhere.
PAPERS: tuple[str, ...] = ("tensor_train(rank=4, in_dims=16x8x16x8, out_dims=4x2x4x2) -> quantize(bits=8)",)


def reference_recipes() -> tuple[Recipe, ...]:
    """Returns the reference set, the baseline first; its length is c of the objective."""
    return tuple(Recipe.parse(text) for text in REFERENCE)


def fixed_recipes() -> dict[Recipe, str]:
    """Returns all of them in their order: recipe -> baseline, reference or paper."""
    reference = {recipe: "reference" if len(recipe) else "baseline" for recipe in reference_recipes()}
    return {**reference, **{Recipe.parse(text): "paper" for text in PAPERS}}
