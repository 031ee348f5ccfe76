"""What was found while a user's data were decoded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ...spaces.layers.parts import Parts
from ...spaces.layers.scaling import Scaling
from ...spaces.outside.shown import shown

#: names of a kind that are kept; the rest is counted
EXAMPLES = 20


@dataclass(frozen=True)
class DataReport:
    """What decoding found, in figures, and what a person should know of it.

    Args:
        images: of each split.
        per_class: of each split the images of class 0, 1, …; empty for the targets of a regression.
        sizes: how many came in each size, `height x width`, the most frequent first; empty for arrays.
        skipped: how many could not be read and were left out.
        skipped_names: the first of them, with the reason.
        repeated: images that are, pixel by pixel, one that came before.
        across_splits: those of them whose first is in another split.
        across_names: the first of these as pairs.
        contradicting: repeated ones whose first has another label.
        empty_classes: classes without an image in train.
        scaling: mean and deviation of each channel in stored units, over a sample of train.
        decoded_bytes: of the Arrow files.
        seconds: that decoding took.
        remarks: sentences, e.g. how splits were made and which pictures were converted.
        parts: shapes of the inputs of a sample where it has several, in the order of its row.
    """

    images: dict[str, int]
    per_class: dict[str, tuple[int, ...]]
    sizes: dict[str, int]
    skipped: int
    skipped_names: tuple[tuple[str, str], ...]
    repeated: int
    across_splits: int
    across_names: tuple[tuple[str, str], ...]
    contradicting: int
    empty_classes: tuple[str, ...]
    scaling: Scaling
    decoded_bytes: int
    seconds: float
    remarks: tuple[str, ...]
    parts: Parts = ()

    def lines(self) -> list[str]:
        """Returns it as sentences for a terminal, what needs attention last."""
        splits = ", ".join(f"{count:,} in {name}" for name, count in self.images.items())
        lines = [f"{sum(self.images.values()):,} images: {splits}"]
        for name, counts in self.per_class.items():
            if counts and min(counts) != max(counts):
                lines.append(f"images a class in {name}: {min(counts):,} to {max(counts):,}")
        lines += self.remarks
        if len(self.sizes) > 1:
            shares = ", ".join(f"{count:,} of {size}" for size, count in list(self.sizes.items())[:3])
            lines.append(f"sizes before resizing: {shares}{', …' if len(self.sizes) > 3 else ''}")
        if self.empty_classes:
            lines.append(f"classes without an image in train: {_few(self.empty_classes)}")
        if self.across_splits:
            pairs = _few([f"{first} = {second}" for first, second in self.across_names])
            lines.append(f"{self.across_splits:,} images are in two splits at once: {pairs}")
        if self.contradicting:
            lines.append(f"{self.contradicting:,} images come again under another label")
        if self.skipped:
            names = _few([f"{name} ({why})" for name, why in self.skipped_names])
            lines.append(f"{self.skipped:,} could not be read and were left out: {names}")
        return [shown(line) for line in lines]

    def to_json(self) -> dict[str, Any]:
        """Returns it in JSON's own types."""
        told = {**asdict(self), "scaling": self.scaling.to_json()}
        return told if self.parts else {name: one for name, one in told.items() if name != "parts"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds what `to_json` gave, after a round through JSON."""
        given = {field.name: value[field.name] for field in fields(cls) if field.name != "parts"}
        given["scaling"] = Scaling.from_json(given["scaling"])
        given["per_class"] = {name: tuple(counts) for name, counts in given["per_class"].items()}
        for name in ("skipped_names", "across_names"):
            given[name] = tuple((str(first), str(second)) for first, second in given[name])
        given["parts"] = tuple(tuple(map(int, shape)) for shape in value.get("parts", ()))
        for name in ("empty_classes", "remarks"):
            given[name] = tuple(given[name])
        return cls(**given)


def _few(names: tuple[str, ...] | list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
