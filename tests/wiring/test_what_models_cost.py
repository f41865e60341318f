"""Prices of models: the deployment's own, the catalogue's, none on a machine of one's own, and a guess for the rest."""

import pytest

from bailiwick.base import Instant
from bailiwick.budget import PriceSource
from bailiwick.models import local_price
from bailiwick.wiring.hosts import build_prices
from bailiwick.wiring.settings import InvalidSettings, Provider, Settings, load_settings

NOW = Instant(1_796_000_000_000_000)


def table(base_url: str = "http://127.0.0.1:8080/v1", **more):
    return build_prices(
        Settings(providers={"local": Provider(base_url), "openai": Provider(base_url)}, **more)
    )


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/v1", "http://localhost:1", "http://[::1]/v1", "http://10.1.2.3/v1", "http://192.168.0.2:8000/v1",
     "http://172.16.0.9", "http://[fd12::1]/v1", "http://llm.localhost/v1"],
)  # fmt: skip
def test_a_server_of_one_s_own_bills_nothing_and_is_shown_so(url):
    price = local_price(url)
    assert (price.input, price.output, price.source, price.version) == (
        0,
        0,
        PriceSource.LOCAL,
        "unpriced (local)",
    )
    assert not price.estimated


@pytest.mark.parametrize(
    "url", ["https://api.openai.com/v1", "http://8.8.8.8/v1", "http://172.32.0.1", "http://localhost.evil.example", "", "http://[2606::1]/"]
)  # fmt: skip
def test_a_server_elsewhere_is_never_free(url):
    assert local_price(url) is None


def test_an_unknown_model_of_a_local_server_is_unpriced_and_a_known_name_keeps_its_price():
    assert table().price("openai:my-model", NOW).source is PriceSource.LOCAL
    assert table().price("local:gemma", NOW).source is PriceSource.LOCAL
    assert table().price("openai:gpt-5-mini", NOW).source is PriceSource.CATALOGUE
    assert table("https://api.example.com/v1").price("openai:my-model", NOW).source is PriceSource.DEFAULT


def test_a_price_of_the_deployment_holds_from_its_date_and_before_all_others(tmp_path):
    settings = tmp_path / "bailiwick.toml"
    settings.write_text(
        '[prices]\n"local:my-*" = { input = 0.5, output = 2, cached_input = 0.05 }\n'
        '[[prices."openai:gpt-5-mini"]]\ninput = 1\noutput = 2\n'
        '[[prices."openai:gpt-5-mini"]]\ninput = 3\noutput = 4\nsince = 2026-11-01\n'
        '[[prices."openai:gpt-5-mini"]]\ninput = 5\noutput = 6\nsince = 2099-01-01\n'
    )
    prices = build_prices(load_settings(settings))
    mine = prices.price("local:my-model", NOW)
    assert (mine.input, mine.output, mine.cached_input, mine.source) == (
        500_000,
        2_000_000,
        50_000,
        PriceSource.TABLE,
    )
    assert prices.price("openai:gpt-5-mini", NOW).input == 3_000_000
    assert prices.price("openai:gpt-5-mini", Instant(1_700_000_000_000_000)).input == 1_000_000


@pytest.mark.parametrize(
    "line",
    ["input = -1\noutput = 1", "input = 1", "input = 1\noutput = nan", "input = 1\noutput = 1\nfee = 2"],
)
def test_a_price_that_is_none_is_refused(tmp_path, line):
    settings = tmp_path / "bailiwick.toml"
    settings.write_text(f'[prices."a:b"]\n{line}\n')
    with pytest.raises(InvalidSettings):
        load_settings(settings)
