"""The catalogue knows what a model cost on the day of the request."""

from bailiwick.base import parse_instant
from bailiwick.budget import PriceSource
from bailiwick.models import catalogue_price

BEFORE, AFTER = parse_instant("2025-05-01T00:00:00Z"), parse_instant("2026-11-01T00:00:00Z")


def test_a_price_cut_holds_from_its_day_on():
    old, new = (catalogue_price("openai:o3", at, 1) for at in (BEFORE, AFTER))
    assert (old.input, old.output) == (10_000_000, 40_000_000)
    assert (new.input, new.output, new.cached_input) == (2_000_000, 8_000_000, 500_000)
    assert new.source is PriceSource.CATALOGUE


def test_an_unknown_model_or_provider_has_no_price():
    assert catalogue_price("openai:no-such-model-exists", AFTER, 1) is None
    assert catalogue_price("scripted:plain", AFTER, 1) is None
    assert catalogue_price("no-colon", AFTER, 1) is None


def test_a_large_request_pays_the_price_of_its_tier():
    small, large = (catalogue_price("google:gemini-2.5-pro", AFTER, size) for size in (1_000, 500_000))
    assert large.input > small.input > 0
    assert large.output > small.output > 0
