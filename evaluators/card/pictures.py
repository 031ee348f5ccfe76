"""The pictures that lie beside a card, each a file that the card names."""

from torch import Tensor

from ..ranking.quality_terms import QualityTerms
from .card import Card
from .card_beside import confusion_said, name_of, thumbnails_said
from .sample_figures import can_be_seen, caption_of, draw_confusion, draw_thumbnails
from .waterfall_figure import draw_waterfall

#: files of the pictures
WATERFALL, CONFUSION, THUMBNAILS = "waterfall.svg", "confusion.svg", "disagreements.svg"


def pictures(card: Card, images: Tensor | None) -> dict[str, bytes]:
    """Returns the pictures of a card, by the names of their files.

    Args:
        card: of an export; all that they show, but the images, stands in it.
        images: of the validation split, as they are stored, (N, ...); None where none are to be shown.
    """
    found = {WATERFALL: draw_waterfall(card.waterfall, QualityTerms.of(card.metrics), card.device)}
    if card.samples is None:
        return found
    if card.samples.matrix is not None:
        names = [name_of(card, place) for place in range(len(card.samples.matrix))]
        found[CONFUSION] = draw_confusion(card.samples.matrix, names, confusion_said(card))
    worst = card.samples.disagreements
    if images is not None and worst and can_be_seen(card.input_shape):
        captions = [
            caption_of(
                f"image {one.sample}" + (f": {name_of(card, one.label)}" if one.label is not None else ""),
                *([f"network {name_of(card, one.network)}"] if one.network is not None else ()),
                *([f"file {name_of(card, one.file)}"] if one.file is not None else ()),
                f"{one.difference:.4g} apart",
            )
            for one in worst
        ]
        shown = [images[one.sample] for one in worst]
        found[THUMBNAILS] = draw_thumbnails(shown, captions, thumbnails_said(card))
    return found
