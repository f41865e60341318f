"""Logs: one line per event, whatever is in it; the context's ids in each; nothing that acts on a terminal."""

import io
import json
import logging

import pytest
import structlog

from bailiwick.telemetry import configure_logging

HOSTILE = "a\nb\r\x1b[31mred\x00\x7f\x9b2J\u2028\u202egnp.exe\u2066\ufeff"


@pytest.fixture
def root():
    """Give the process its logging back."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield logging.root
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines_of(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_line_has_the_ids_of_its_context(root):
    stream = io.StringIO()
    configure_logging("info", stream)
    structlog.contextvars.bind_contextvars(run_id="run_1", trace_id="t", causation_id="c")
    structlog.get_logger("bailiwick").info("step.done", step="build")
    logging.getLogger("library").warning("from %s", "elsewhere")
    ours, theirs = lines_of(stream)
    assert ours["event"] == "step.done"
    assert theirs["event"] == "from elsewhere"
    assert theirs["logger"] == "library"
    for line in (ours, theirs):
        assert (line["run_id"], line["trace_id"], line["causation_id"]) == ("run_1", "t", "c")
        assert line["at"].endswith("Z")
        assert line["level"] in ("info", "warning")


@pytest.mark.parametrize("json_lines", [True, False], ids=["json", "people"])
def test_hostile_text_stays_one_line_of_plain_characters(root, json_lines):
    stream = io.StringIO()
    configure_logging("info", stream, json=json_lines)
    structlog.get_logger().info(HOSTILE, value=HOSTILE, inner=[{"x": HOSTILE}], **{"na\x1bme": "x"})
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert not [char for char in text[:-1] if not (char.isprintable() or char == " ")]
    if json_lines:
        (line,) = lines_of(stream)
        assert line["value"] == HOSTILE
        assert line["inner"] == [{"x": HOSTILE}]


def test_what_json_cannot_hold_is_logged_all_the_same(root):
    stream = io.StringIO()
    configure_logging("info", stream)
    structlog.get_logger().info("odd", big=2**80, half="\ud83d", raw=b"\xff", inner={"a": {1: object}})
    (line,) = lines_of(stream)
    assert line["big"] == str(2**80)
    assert line["half"] == "\\ud83d"
    assert "object" in line["inner"]["a"]["1"]


@pytest.mark.parametrize("json_lines", [True, False], ids=["json", "people"])
def test_a_traceback_is_logged_without_the_values_of_variables(root, json_lines):
    stream = io.StringIO()
    configure_logging("info", stream, json=json_lines)
    secret = "sk-canary" + "-77"
    try:
        int(secret[:2])
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: invalid literal" in stream.getvalue()
    assert secret not in stream.getvalue()


def test_what_is_below_the_level_is_not_shown(root):
    stream = io.StringIO()
    configure_logging("error", stream)
    structlog.get_logger().warning("quiet")
    logging.getLogger("library").warning("quiet")
    structlog.get_logger().error("loud")
    assert [line["event"] for line in lines_of(stream)] == ["loud"]
    with pytest.raises(ValueError, match="there is no level 'loud'"):
        configure_logging("loud")
