"""Promises about policy text: it is compiled where it can do no harm, and refused with the place of its fault."""

import re

import pytest
from policy_requests import bundle_with, in_child, in_process, only, request

from bailiwick.policy import (
    Bundle,
    Finding,
    PolicyRefused,
    VerdictKind,
    accept,
    build_bundle,
    compile_request,
    compile_text,
    default_files,
    duration_seconds,
    precheck,
    stacked,
    version_of,
)

HEAD = '@id("p") @reason("r")\n'
HOLD = (
    '@id("h") @reason("r") @require_approval("sre")\n'
    'forbid (principal, action, resource) unless { context.approvals.contains("sre") };\n'
)
DEEP = HEAD + "permit (principal, action, resource) when { " + "(" * 2000 + "true" + ")" * 2000 + " };"
CHAIN = HEAD + "permit (principal, action, resource) when { true" + " && true" * 4000 + " };"


def files_with(text: str) -> dict[str, str]:
    return {**default_files(), "mine.cedar": text}


def refused(text: str) -> tuple[Finding, ...]:
    with pytest.raises(PolicyRefused) as refusal:
        build_bundle(files_with(text), in_process)
    assert refusal.value.code == "policy_refused"
    return refusal.value.findings


def must_not_run(_: bytes) -> bytes:
    raise AssertionError("the text reached the compiler")


def test_a_sound_bundle_passes_the_child_process() -> None:
    bundle = build_bundle(files_with(HOLD), in_child)
    assert bundle.version == version_of(files_with(HOLD))
    assert {"h", "base.start-step"} <= set(bundle.rules)
    assert bundle.rules["h"].file == "mine.cedar"
    assert bundle.rules["h"].text == HOLD.strip()


def test_hostile_nesting_is_refused_before_any_parser_sees_it() -> None:
    with pytest.raises(PolicyRefused, match="brackets 2001 deep"):
        build_bundle(files_with(DEEP), must_not_run)


@pytest.mark.parametrize("text", [DEEP, CHAIN], ids=["parentheses", "chain"])
def test_hostile_text_that_reaches_the_compiler_kills_or_fails_the_child_alone(text: str) -> None:
    files = files_with(text)
    assert accept(in_child(compile_request(files)), version_of(files))


def test_a_compiler_that_died_is_a_refusal() -> None:
    with pytest.raises(PolicyRefused, match="crashed it"):
        build_bundle(files_with(CHAIN), in_child)


@pytest.mark.parametrize(
    "output", [b"", b"{}", b"null", b'{"version":"x","findings":[]}', b"Segmentation fault"]
)
def test_only_a_clean_report_on_this_text_is_accepted(output: bytes) -> None:
    with pytest.raises(PolicyRefused):
        build_bundle(files_with(HOLD), lambda _: output)


def test_a_report_on_another_text_is_not_accepted() -> None:
    other = in_process(compile_request(default_files()))
    with pytest.raises(PolicyRefused, match="another text"):
        build_bundle(files_with(HOLD), lambda _: other)


@pytest.mark.parametrize(
    "hidden",
    ["// " + "(" * 100 + "\n", '@id("p") @reason("' + "[" * 100 + '")'],
    ids=["comment", "string"],
)
def test_brackets_in_comments_and_strings_are_no_nesting(hidden: str) -> None:
    assert precheck(files_with(hidden)) == ()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"big.cedar": "//" + "x" * 262_144}, "bytes of policy text"),
        ({"../x.cedar": ""}, "file names look like"),
        ({"X.CEDAR": ""}, "file names look like"),
        ({"x.txt": ""}, "file names look like"),
        ({"nul.cedar": "// \0"}, "NUL"),
        ({"cr.cedar": "// a comment to us\r" + HEAD + "permit (principal, action, resource);"}, "carriage"),
        ({"half.cedar": "// \ud800"}, "surrogate"),
        ({f"n{number}.cedar": "" for number in range(64)}, "files; at most"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_text_beyond_the_limits_is_refused_unparsed(files: dict[str, str], problem: str) -> None:
    with pytest.raises(PolicyRefused, match=re.escape(problem)):
        build_bundle({**default_files(), **files}, must_not_run)


def test_a_bundle_without_a_schema_is_refused() -> None:
    with pytest.raises(PolicyRefused, match="no schema"):
        build_bundle({"mine.cedar": HOLD}, must_not_run)


def test_a_schema_that_does_not_parse_is_refused() -> None:
    with pytest.raises(PolicyRefused, match=r"schema\.cedarschema: .*"):
        build_bundle({**default_files(), "schema.cedarschema": "entity;"}, in_process)


def test_a_syntax_error_names_file_policy_and_line() -> None:
    text = f'{HOLD}\n// a ";" in a comment\n@id("bad") @reason("; (")\npermit (principal, action);\n'
    (finding,) = refused(text)
    assert (finding.file, finding.policy, finding.line) == ("mine.cedar", 1, 5)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("context.no_such_fact", "no_such_fact"),
        ('context.spent_micro_usd == "5"', "types"),
        ("resource.nothing", "nothing"),
        ('action == Action::"shell.exec"', "shell.exec"),
        ("principal is Robot", "Robot"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_with_its_id(condition: str, said: str) -> None:
    text = HOLD + '@id("bad") @reason("r") permit (principal, action, resource) when { ' + condition + " };"
    findings = refused(text)
    assert {(finding.file, finding.policy, finding.line, finding.id) for finding in findings} == {
        ("mine.cedar", 1, 3, "bad")
    }
    assert any(said in finding.problem for finding in findings)


ANY = "(principal, action, resource)"


def escalating(to: str, after: str, ttl: str = "") -> str:
    """The hold with an escalation, and with a time to live if one is given."""
    more = f'@escalate_to("{to}") @escalate_after("{after}")' + (f' @approval_ttl("{ttl}")' if ttl else "")
    return HOLD.replace('("sre")\n', f'("sre") {more}\n')


ASKS = 'unless { context.approvals.contains("sre") }'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'@reason("r") permit {ANY};', "needs an @id"),
        (f'@id("No Spaces") @reason("r") permit {ANY};', "needs an @id"),
        (f'@id("a") permit {ANY};', "needs a @reason"),
        (f'@id("a") @reason(" ") permit {ANY};', "needs a @reason"),
        (f'@id("a") @reason("r") @require_aproval("sre") forbid {ANY};', "unknown annotation"),
        (f'@id("a") @reason("r") @approvals("2") forbid {ANY};', "unknown annotation"),
        (f'@id("base.start-step") @reason("r") permit {ANY};', "already used in base.cedar"),
        (HOLD + HOLD, "already used in mine.cedar"),
        (f'@id("a") @reason("r") @require_approval("sre") permit {ANY} {ASKS};', "stands on a permit"),
        (f'@id("a") @reason("r") @require_approval("sre") forbid {ANY};', "exactly once"),
        (f'@id("a") @reason("r") @require_approval("ops") forbid {ANY} {ASKS};', "exactly once"),
        (f'@id("a") @reason("r") @require_approval("sre") forbid {ANY} {ASKS} {ASKS};', "exactly once"),
        (
            (
                f'@id("a") @reason("r") @require_approval("sre") forbid {ANY} '
                'unless { context.approvals.contains("sre") || context.approvals.contains("ops") };'
            ),
            "exactly once",
        ),
        (
            (
                f'@id("a") @reason("r") @require_approval("sre") forbid {ANY} '
                'when { !context.approvals.contains("sre") };'
            ),
            "exactly once",
        ),
        (
            f'@id("a") @reason("r") @require_approval("sre") forbid {ANY} '
            'when { !context.approvals.contains("ops") } ' + ASKS + ";",
            "exactly once",
        ),
        (
            (
                f'@id("a") @reason("r") @require_approval("sre") forbid {ANY} '
                'unless { ["sre"].contains("sre") };'
            ),
            "exactly once",
        ),
        (f'@id("a") @reason("r") @require_approval("s re") forbid {ANY} {ASKS};', "not the name of a group"),
        (f'@id("a") @reason("r") forbid {ANY} {ASKS};', "without @require_approval"),
        (
            f'@id("a") @reason("r") permit {ANY} when {{ context["approvals"].contains("x") }};',
            "without @require_approval",
        ),
        (
            f'@id("a") @reason("r") permit {ANY} when {{ (if true then context else context).untrusted }};',
            "whole context",
        ),
        (
            f'@id("a") @reason("r") permit {ANY} when {{ context has approvals }};',
            "without @require_approval",
        ),
        (f'@id("a") @reason("r") @approval_ttl("PT1H") forbid {ANY};', "without @require_approval"),
        (HOLD.replace('("sre")\n', '("sre") @approval_ttl("30 minutes")\n'), "not an ISO 8601 duration"),
        (HOLD.replace('("sre")\n', '("sre") @approval_ttl("P1M")\n'), "not an ISO 8601 duration"),
        (HOLD.replace('("sre")\n', '("sre") @escalate_to("boss")\n'), "go together"),
        (HOLD.replace('("sre")\n', '("sre") @escalate_after("PT1H")\n'), "go together"),
        (f'@id("a") @reason("r") @escalate_to("boss") forbid {ANY};', "without @require_approval"),
        (f'@id("a") @reason("r") @decides_after("quarantine") permit {ANY};', "that of a probe"),
        (f'@id("a") @reason("r") @decides_after("quarantine") forbid {ANY};', "that of a probe"),
        (
            (
                '@id("a") @reason("r") @decides_after("an hour") '
                'permit (principal, action == Action::"tool.call", resource);'
            ),
            "must name the quarantine",
        ),
        (escalating("the boss", "PT1H"), "is not the name of a group"),
        (escalating("sre", "PT1H"), "names the group that is asked first"),
        (escalating("boss", "15m"), "not an ISO 8601 duration"),
        (escalating("boss", "P1D"), "is not before the request expires (86400 s): shorten it"),
        (escalating("boss", "PT2H", "PT2H"), "is not before the request expires (7200 s)"),
        (escalating("boss", "PT2H1S", "PT2H"), "is not before the request expires (7200 s)"),
        ('@id("a") @reason("r") permit (principal == ?principal, action, resource);', "templates"),
    ],
)
def test_a_policy_that_breaks_a_rule_of_the_house_is_refused(text: str, problem: str) -> None:
    findings = refused(text)
    assert any(problem in finding.problem for finding in findings), findings
    assert {finding.file for finding in findings} == {"mine.cedar"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30M", 1800),
        ("P1D", 86_400),
        ("P2W", 1_209_600),
        ("P1DT2H3M4S", 93_784),
        ("PT90S", 90),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("PT0S", None),
        ("P1Y", None),
        ("P400D", None),
        ("-PT1M", None),
        ("PT1.5H", None),
        ("PT1M ", None),
        ("pt1m", None),
        ("PT٣M", None),
    ],
)
def test_durations_are_those_of_iso_8601_within_a_year(text: str, seconds: int | None) -> None:
    assert duration_seconds(text) == seconds


def test_an_app_cannot_replace_a_default_file() -> None:
    with pytest.raises(PolicyRefused) as refusal:
        stacked({"standing.cedar": "", "mine.cedar": ""})
    assert [finding.file for finding in refusal.value.findings] == ["standing.cedar"]
    assert set(stacked({"mine.cedar": HOLD})) == {*default_files(), "mine.cedar"}


def test_an_empty_policy_file_permits_nothing() -> None:
    assert only("// nothing yet\n").decide(request()).effect is VerdictKind.DENY


def test_any_change_of_text_is_another_version() -> None:
    assert bundle_with().version != bundle_with("// note").version
    assert Bundle(default_files()).version == Bundle(default_files()).version


def test_a_compile_report_holds_a_bounded_number_of_findings() -> None:
    many = "permit (principal, action, resource);\n" * 500
    assert len(compile_text(files_with(many)).findings) == 100


@pytest.mark.parametrize("text", [escalating("boss", "PT23H59M59S"), escalating("boss", "PT1S", "PT2S")])
def test_an_escalation_before_the_expiry_is_taken(text: str) -> None:
    assert build_bundle(files_with(text), in_process).rules["h"].hold is not None
