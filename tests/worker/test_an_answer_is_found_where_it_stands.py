"""An answer is the one JSON object that its model wrote, in a fence, after prose or thinking; never one of two, or a part."""

import pytest

from bailiwick.worker.answers import Unread, object_in

GOOD = '{"answer": "ok"}'
OTHER = '{"answer": "no"}'


def fits(value):
    return set(value) == {"answer"}


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"Here it is:\n\n{GOOD}",
        f"{GOOD}\n\nI hope that this helps {{name}}!",
        f"<think>perhaps {OTHER}</think>\n{GOOD}",
        f"The braces {{of prose}} are none. {GOOD}",
        f'First a draft {{"draft": 1}}, then the answer: {GOOD}',
        f"{GOOD} and once more: {GOOD}",
        f"Result: [{GOOD}]",
    ],
)
def test_the_one_object_that_fits_is_the_answer(text):
    assert object_in(text, fits) == {"answer": "ok"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I cannot do that.", "not one JSON object"),
        ("[1, 2]", "not a JSON object"),
        ("7", "not a JSON object"),
        (f"{GOOD} or {OTHER}", "ambiguous: 2 different"),
        (f'{{"inner": {GOOD}, oops', "not one JSON object"),
        (f'```json\n{{"inner": {GOOD}, "more": "cut off', "not one JSON object"),
        (f'Well: {{"answer": NaN}} {GOOD}', "not one JSON object"),
        (f'So: {{"answer": 1, "answer": 2}} {GOOD}', "not one JSON object"),
        ("{" * 100_000, "not one JSON object"),
        ('{"a":' * 100_000, "not one JSON object"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_reason(text, words):
    with pytest.raises(Unread, match=words):
        object_in(text, fits)


def test_an_object_that_does_not_fit_is_handed_on_to_be_judged():
    assert object_in('Here: {"reply": 1}', fits) == {"reply": 1}
