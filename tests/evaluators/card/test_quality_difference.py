"""When a difference of two qualities is more than noise: by hand, at the edges, in both directions."""

import pytest
from atoll.evaluators.card.quality_difference import noise
from atoll.evaluators.ranking.quality_terms import QualityTerms

ACCURACY = QualityTerms("accuracy")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        # d^2 = 4 ((0.9 x 0.1 + (0.9 - d) (0.1 + d)) / 1000 has the roots 0.02842 and -0.02523
        (0.9 - 0.0284, "within"),
        (0.9 - 0.0285, "more than"),
        (0.9 + 0.0252, "within"),
        (0.9 + 0.0253, "more than"),
        (0.9, "within"),
    ],
)
def test_two_standard_errors_of_the_difference_are_noise(model: float, said: str) -> None:
    assert noise(ACCURACY, 0.9, model, 1000).startswith(f" ({said} the noise of both")


def test_the_noise_is_said_in_points() -> None:
    # 2 sqrt(2 x 0.09 / 1000) = 0.0268
    assert noise(ACCURACY, 0.9, 0.9, 1000) == " (within the noise of both, 2.68 points: 2 standard errors)"


def test_two_perfect_scores_have_no_noise_and_differ_by_none() -> None:
    assert noise(ACCURACY, 1.0, 1.0, 10) == " (within the noise of both, 0.00 points: 2 standard errors)"


@pytest.mark.parametrize(("quality", "images"), [(0.9, None), (0.9, 0), (-3.5, 1000), (42.0, 1000)])
def test_what_is_no_share_of_known_images_has_no_known_noise(quality: float, images: int | None) -> None:
    assert noise(ACCURACY, quality, quality, images) == ""


def test_what_counts_no_right_answers_has_no_known_noise() -> None:
    assert noise(QualityTerms("f1"), 0.9, 0.8, 1000) == ""
