"""Peers are measured in the same rounds: ratios say how we compare, and a peer that fails is no figure."""

import sys
from pathlib import Path

import pytest

from bailiwick.testing.bench import chain, w1
from bailiwick.testing.bench.peers import compared
from bailiwick.testing.bench.peers.chains import OUTPUT, STEPS
from bailiwick.testing.bench.peers.compare import OURS, Round, _installed, _said
from bailiwick.testing.bench.programs import ProgramFailed


def test_the_peers_do_what_our_chain_does() -> None:
    assert OUTPUT == chain.OUTPUT
    assert STEPS == w1.STEPS


def test_ratios_are_of_medians_and_say_how_many_times_ours_is() -> None:
    slow = Round(runs=10, seconds=10.0, cpu=1.0, p50=0.5)
    fast = Round(runs=100, seconds=10.0, cpu=1.0, p50=0.05)
    odd = Round(runs=1, seconds=10.0, cpu=9.0, p50=9.0)
    figures = {each.name: each for each in compared(1, {OURS: [fast, fast, odd], "dbos": [slow, odd, slow]})}
    assert figures["peers-1.dbos.rate"].value == 1.0
    assert figures["peers-1.bailiwick.p50"].value == 50.0
    assert figures["peers-1.dbos.our-rate-to-theirs"].value == pytest.approx(10.0)
    assert figures["peers-1.dbos.our-cpu-to-theirs"].value == pytest.approx(0.1)
    assert all(each.met is None for each in figures.values()), "what is reported is not gated"


def test_a_peer_that_fails_says_so() -> None:
    with pytest.raises(ProgramFailed, match="no such peer here"):
        _said([sys.executable, "-c", "raise SystemExit('no such peer here')"])


def test_an_environment_that_was_made_of_this_list_is_taken_as_it_is(tmp_path: Path) -> None:
    wanted = Path(chain.__file__).parent / "peers" / "requirements.txt"
    (tmp_path / "peers-of").write_text(f"{sys.version.split()[0]}\n{wanted.read_text('utf-8')}", "utf-8")
    assert _installed(tmp_path) == tmp_path / "bin" / "python"
    assert [path.name for path in tmp_path.iterdir()] == ["peers-of"]
