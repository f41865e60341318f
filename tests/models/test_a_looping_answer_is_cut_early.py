"""An answer that repeats itself is cut off within a bounded excess; code, tables, lists and JSON are not taken for one."""

import json
from pathlib import Path

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.models import Interruption
from bailiwick.models.repetition import LEAST_RATIO, Repetition, ratio
from bailiwick.ports import CallFailed, Stop
from web_kit import page_of, web

PATH = "/v1/chat/completions"
ROOT = Path(__file__).parents[2]
CHARS = 6_000
SENTENCE = "The best way to do that is to make sure that you have a good understanding of the subject. "


def seen_after(text: str, size: int = 4) -> int:
    """Tell how many characters were read before the repetition was seen; -1: it was not."""
    watch = Repetition(CHARS)
    for at in range(0, len(text), size):
        if watch.feed(text[at : at + size]):
            return at + size
    return -1


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    "loop",
    [
        SENTENCE * 400,
        "word " * 8_000,
        "\n" * 40_000,
        "".join(f"{n}. {SENTENCE}\n" for n in range(400)),
        "".join(SENTENCE.replace("good", ("good", "great", "fair")[n % 3]) for n in range(400)),
        "日本語の文章をもう一度書きます。" * 2_000,
        '{"a": [' + '{"name": "x", "value": 1}, ' * 1_000,
    ],
    ids=["sentence", "word", "line ends", "numbered", "varied", "no spaces", "json"],
)
def test_a_loop_is_seen_within_a_quarter_more_than_its_bound(loop, size):
    assert 0 < seen_after(loop, size) <= CHARS * 1.25 + size
    beginning = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(beginning) < seen_after(beginning + loop, size) <= len(beginning) + CHARS * 1.5 + size


def true_texts():
    found = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"),
             *ROOT.glob("examples/**/*.json"), *ROOT.glob("src/**/*.sql")]  # fmt: skip
    return sorted(found)


def test_no_window_of_true_text_is_taken_for_a_loop():
    least = 1.0
    for path in true_texts():
        text = path.read_text()
        for at in range(0, len(text) - CHARS + 1, CHARS // 2):
            least = min(least, ratio(text[at : at + CHARS]))
    assert least > LEAST_RATIO * 1.25, least


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"| {n} | item-{n * 7919 % 1000} | {n * 31 % 97} |\n" for n in range(2_000)),
        "".join(f"- [ ] step {n * 7919 % 1000}: check file_{n * 31 % 997}.py\n" for n in range(2_000)),
        json.dumps([{"id": n, "score": n * 7919 % 1000 / 7} for n in range(2_000)], indent=2),
        "".join(f"case {n}:\n    return {n * 7919 % 1000}\n" for n in range(2_000)),
    ],
    ids=["table", "list", "json", "code"],
)
def test_what_is_alike_line_by_line_is_no_loop(text):
    assert seen_after(text) == -1


def answer_of(pieces: list[str], finish: str = "stop") -> bytes:
    chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    chunks.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return page_of(200, lines + "data: [DONE]\n\n", content_type="text/event-stream")


async def test_a_looping_answer_is_cut_off_on_the_wire_and_says_so(make_host, ask):
    async with web({PATH: answer_of([SENTENCE] * 400)}) as site:
        host = make_host(base_url=f"http://127.0.0.1:{site.port}/v1")
        with pytest.raises(CallFailed) as failed:
            await host.stream(ask("plain", max_output_tokens=100_000), lambda frame: None, Stop())
        free = make_host(base_url=f"http://127.0.0.1:{site.port}/v1", repetition_chars=0)
        whole = await free.stream(ask("plain", max_output_tokens=100_000), lambda frame: None, Stop())
    assert failed.value.category is ErrorCategory.INVALID_OUTPUT
    assert failed.value.interruptions == (Interruption.REPETITION.value,)
    assert "again and again" in failed.value.message
    assert len(failed.value.partial) < CHARS * 1.5
    assert whole.message.text == SENTENCE * 400
