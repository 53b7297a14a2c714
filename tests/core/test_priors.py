"""What is assumed of a method before anything was learned of it."""

from __future__ import annotations

from streaming.core import priors
from streaming.core.deflate import Method, Strategy


def test_filtering_text_is_assumed_to_pay_a_little_and_to_cost_time() -> None:
    plain, filtered = (Method(6, 12, 5, strategy) for strategy in (Strategy.DEFAULT, Strategy.FILTERED))
    (ratio, *_), (cpu, *_) = priors.of_text(plain)
    (filtered_ratio, *_), (filtered_cpu, *_) = priors.of_text(filtered)
    assert filtered_ratio < ratio
    assert filtered_cpu > cpu


def test_a_low_level_filters_nothing() -> None:
    plain, filtered = (Method(1, 12, 5, strategy) for strategy in (Strategy.DEFAULT, Strategy.FILTERED))
    assert priors.of_text(plain) == priors.of_text(filtered)


def test_a_dictionary_is_assumed_to_pay_most_for_short_messages() -> None:
    plain, helped = (Method(6, 12, 5, dictionary=dictionary) for dictionary in (False, True))
    (ratio, growth, *_), _ = priors.of_text(plain)
    (helped_ratio, helped_growth, *_), _ = priors.of_text(helped)
    assert helped_ratio < ratio
    assert helped_growth > growth
