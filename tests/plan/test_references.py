"""References resolve to exactly what they name; what is missing is refused at its place, and nothing is read twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import Refusal
from bailiwick.plan import InvalidTemplate, UnresolvedReference, parse_reference, references_in, resolve

VALUES: dict[str, Any] = {
    "intent": {"title": "T", "input": {"n": 7, "f": 1.5, "yes": True, "none": None, "list": ["a", {"b": 2}]}},
    "context": {"files": {"text": "${$.intent.title}"}},
    "brief": {"steps": ["one"]},
    "steps": {
        "a-b": {"output": {"x": {"y": 1}}, "status": "succeeded"},
        "skipped": {"output": None, "status": "skipped"},
    },
    "previous": {"a-b": {"output": None, "status": "pending"}},
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("$.intent.input", VALUES["intent"]["input"]),
        ("$.intent.input.list[1].b", 2),
        ("$.steps.a-b.output.x", {"y": 1}),
        ("$.steps.a-b.status", "succeeded"),
        ("$.intent.input.none", None),
        ("$.intent.absent?", None),
        ("$.previous.a-b.output.findings?", None),
        ("$.steps.never.output?", None),
        ("n=${$.intent.input.n} f=${$.intent.input.f} y=${$.intent.input.yes}", "n=7 f=1.5 y=true"),
        ("${$.intent.absent?}.", "."),
        ("$$.intent.title", "$.intent.title"),
        ("$${$.intent.title}", "${$.intent.title}"),
        ("costs $5", "costs $5"),
        ("$", "$"),
        ("", ""),
        ({"a": ["$.intent.title", 3, None]}, {"a": ["T", 3, None]}),
        ({"$.intent.title": 1}, {"$.intent.title": 1}),
    ],
)
def test_a_template_resolves(template: Any, value: Any) -> None:
    assert resolve(template, VALUES) == value


def test_what_is_put_in_is_never_read_as_a_template() -> None:
    assert resolve("$.context.files.text", VALUES) == "${$.intent.title}"
    assert resolve("<${$.context.files.text}>", VALUES) == "<${$.intent.title}>"


@pytest.mark.parametrize(
    "template",
    [
        "$.intent.absent",
        "$.intent.title.x",
        "$.intent.title[0]",
        "$.intent.input.list[2]",
        "$.intent.input.list.a",
        "$.intent.input[0]",
        "$.steps.never.status",
        "$.steps.skipped.output.x",
        "$.previous.a-b.output.findings",
        "in ${$.intent.input}",
        "in ${$.intent.input.list}",
        "in ${$.intent.input.none}",
        "in ${$.intent.absent}",
    ],
)
def test_what_does_not_resolve_is_refused_with_its_place(template: str) -> None:
    with pytest.raises(UnresolvedReference) as refusal:
        resolve({"a": [0, template]}, VALUES, "/steps/3/input")
    assert refusal.value.code == "unresolved_reference"
    assert refusal.value.facts["pointer"] == "/steps/3/input/a/1"


@pytest.mark.parametrize(
    "text",
    [
        "$.",
        "$.other.x",
        "$.steps",
        "$.steps.a",
        "$.steps.a.outputs",
        "$.steps.a.status.x",
        "$.steps[0].output",
        "$.context",
        "$.context[0]",
        "$.intent..x",
        "$.intent.x ",
        "$.intent.x\n",
        "$.intent[-1]",
        "$.intent['x']",
        "$.intent.__class__.x()",
        "$.previous.a",
        "$.intent." + "x" * 500,
        "a ${intent.x}",
        "a ${}",
        "a ${$.intent.title} ${$.no.x}",
    ],
)
def test_what_only_looks_like_a_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate) as refusal:
        references_in({"k": text})
    assert refusal.value.facts["pointer"] == "/k"
    with pytest.raises(InvalidTemplate):
        resolve(text, VALUES)


def test_no_reference_reaches_python_attributes() -> None:
    with pytest.raises(UnresolvedReference):
        resolve("$.intent.__class__", VALUES)
    with pytest.raises(UnresolvedReference):
        resolve("$.steps.a-b.output.keys", VALUES)


def test_references_are_listed_in_order_with_their_places() -> None:
    found = references_in(
        {"b": "x ${$.intent.title} ${$.steps.q.output}", "a": ["$.brief.steps[0]"], "c": "$$.x"}
    )
    assert [(item.pointer, str(item.reference), item.whole) for item in found] == [
        ("/b", "$.intent.title", False),
        ("/b", "$.steps.q.output", False),
        ("/a/0", "$.brief.steps[0]", True),
    ]
    assert [item.reference.step for item in found] == ["", "q", ""]


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


def paths(value: Any, path: str) -> list[tuple[str, Any]]:
    found = [(path, value)]
    if isinstance(value, dict):
        return found + [place for name, item in value.items() for place in paths(item, f"{path}.{name}")]
    if isinstance(value, list):
        return found + [place for at, item in enumerate(value) for place in paths(item, f"{path}[{at}]")]
    return found


@given(trees)
def test_every_place_of_any_value_can_be_named(value: Any) -> None:
    for path, item in paths(value, "$.intent.input"):
        assert resolve(path, {"intent": {"input": value}}) == item
        assert str(parse_reference(path)) == path


@given(st.text(alphabet="$.{}[]?01abintesup ", max_size=24) | st.text(max_size=24))
def test_any_text_is_resolved_or_refused_and_never_crashes(text: str) -> None:
    try:
        found = references_in(text)
    except Refusal as refusal:
        assert refusal.code == "invalid_template"
        return
    try:
        resolve(text, VALUES)
    except UnresolvedReference:
        assert found
