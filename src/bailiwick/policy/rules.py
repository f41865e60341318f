"""The rules of a bundle: what each policy is called, why it stands there, and the hold it may ask for."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum

import cedarpy
import msgspec
from cedarpy import pst

from bailiwick.base import Digest, canonical, digest_of
from bailiwick.policy.attributes import ATTRIBUTES, carried_by
from bailiwick.policy.syntax import approval_groups, approval_reads, named_reads, scoped_actions
from bailiwick.policy.text import Finding, Piece, split_policies

DEFAULT_TTL_SECONDS = 24 * 3600
MAX_SECONDS = 366 * 24 * 3600

_DURATION = re.compile(
    r"P(?:(?P<W>\d{1,6})W|(?:(?P<D>\d{1,6})D)?(?:T(?=\d)(?:(?P<H>\d{1,6})H)?(?:(?P<M>\d{1,6})M)?(?:(?P<S>\d{1,9})S)?)?)",
    re.ASCII,
)
_UNITS = {"W": 604_800, "D": 86_400, "H": 3600, "M": 60, "S": 1}
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_HOLD_ONLY = ("approval_ttl", "escalate_to", "escalate_after")
_DECIDES = "decides_after"
_QUARANTINE = "quarantine"
_KNOWN = frozenset({"id", "reason", "require_approval", _DECIDES, *_HOLD_ONLY})


class RuleEffect(StrEnum):
    """What a policy does when it matches."""

    PERMIT = "permit"
    FORBID = "forbid"


class Hold(msgspec.Struct, frozen=True):
    """What a held action waits for: one approval by a group.

    `text_digest` names the rule's meaning (white space and comments do not count), so that a grant can
    tell whether the rule that it answers is still the same. `escalate_after_seconds` is 0 without escalation.
    """

    id: str
    group: str
    ttl_seconds: int
    text_digest: Digest
    reason: str
    escalate_to: str = ""
    escalate_after_seconds: int = 0


class Rule(msgspec.Struct, frozen=True):
    """One policy of a bundle, as people are shown it.

    `decides`: what a probe answers under this permit decides about the action that it was asked about.
    """

    id: str
    file: str
    effect: RuleEffect
    reason: str
    text: str
    text_digest: Digest
    hold: Hold | None = None
    decides: bool = False


def duration_seconds(text: str) -> int | None:
    """Read an ISO 8601 duration of weeks, or of days, hours, minutes and seconds; None when it is none.

    It must be at least one second and at most 366 days.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    seconds = sum(int(count) * _UNITS[unit] for unit, count in match.groupdict(default="0").items())
    return seconds if 0 < seconds <= MAX_SECONDS else None


def rules_of(file: str, text: str) -> tuple[Rule, ...]:
    """Read the rules of one file that was compiled and linted before.

    Raises:
        ValueError: The text does not parse.
        KeyError: A policy lacks `@id` or `@reason`.
    """
    tree = cedarpy.policies_to_pst(text)
    meaning = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
    pieces = split_policies(text)
    rules = []
    for index, policy in enumerate(in_order(tree)):
        digest = digest_of(canonical(meaning[policy.id]))
        rules.append(_rule(file, policy, pieces[index].text, digest))
    return tuple(rules)


def in_order(tree: pst.PolicySet) -> tuple[pst.Template, ...]:
    """List the policies of a file as they stand in it (the engine numbers them `policy0`, `policy1`, …)."""
    numbered = sorted(tree.static_policies.items(), key=lambda item: int(item[0].removeprefix("policy")))
    return tuple(policy for _, policy in numbered)


def lint(file: str, tree: pst.PolicySet, pieces: tuple[Piece, ...]) -> list[Finding]:
    """Hold a parsed file to the house rules for annotations and holds; duplicates are the caller's to find."""
    findings = []
    if tree.templates:
        findings.append(Finding(file=file, problem="templates (?principal, ?resource) are not supported"))
        return findings
    for index, policy in enumerate(in_order(tree)):
        known_id = policy.annotations.get("id", "")
        findings.extend(
            Finding(file=file, problem=problem, policy=index, line=pieces[index].line, id=known_id)
            for problem in (
                *_naming_problems(policy.annotations),
                *_hold_problems(policy),
                *_decides_problems(policy),
                *_read_problems(policy),
            )
        )
    return findings


def _naming_problems(annotations: Mapping[str, str]) -> list[str]:
    problems = []
    if not _ID.fullmatch(annotations.get("id", "")):
        problems.append('the policy needs an @id like "payments.no-refunds"')
    if not annotations.get("reason", "").strip():
        problems.append("the policy needs a @reason")
    # A misspelt annotation must not silently turn a hold into something else.
    problems.extend(f"unknown annotation @{name}" for name in sorted(set(annotations) - _KNOWN))
    return problems


def _read_problems(policy: pst.Template) -> list[str]:
    """Find reads that never bite and look as if they did: of no attribute at all, or of one that its actions never carry."""
    named = named_reads(policy)
    known = {(each.side, each.name) for each in ATTRIBUTES}
    anywhere = {name for _, name in known}
    # The engine's own check takes `context has regoin` for a plain "no".
    problems = [
        f"there is no attribute {side}.{name}" if side else f"there is no attribute {name}"
        for side, name in sorted(named - known)
        if side or name not in anywhere
    ]
    actions = scoped_actions(policy)
    told = " or ".join(sorted(actions))
    empty = sorted((named & known) - carried_by(actions)) if actions else []
    return problems + [
        f"{side}.{name} is always empty at {told}; docs/concepts.md says what carries it"
        for side, name in empty
    ]


def _decides_problems(policy: pst.Template) -> list[str]:
    named = policy.annotations.get(_DECIDES)
    if named is None:
        return []
    problems = []
    if named != _QUARANTINE:
        problems.append(f'@{_DECIDES}({named!r}) must name the quarantine: @{_DECIDES}("{_QUARANTINE}")')
    if policy.effect != "permit" or scoped_actions(policy) != frozenset({"tool.call"}):
        problems.append(f'@{_DECIDES} stands on a permit of Action::"tool.call" alone: that of a probe')
    return problems


def _hold_problems(policy: pst.Template) -> list[str]:
    annotations = policy.annotations
    group = annotations.get("require_approval")
    reads, asked = approval_reads(policy), approval_groups(policy)
    if group is None:
        problems = [f"@{name} without @require_approval" for name in _HOLD_ONLY if name in annotations]
        if reads:
            problems.append("reads context.approvals (or the whole context) without @require_approval")
        return problems
    problems = []
    if policy.effect != "forbid":
        problems.append("@require_approval stands on a permit; a hold is a forbid")
    if not _GROUP.fullmatch(group):
        problems.append(f"{group!r} is not the name of a group")
    if asked != (group,) or reads != 1:
        problems.append(
            f'a hold for {group!r} must have the clause unless {{ context.approvals.contains("{group}") }}'
            " exactly once, and read approvals nowhere else"
        )
    problems.extend(
        f"@{name}({annotations[name]!r}) is not an ISO 8601 duration such as PT30M (1 s to 366 days)"
        for name in ("approval_ttl", "escalate_after")
        if name in annotations and duration_seconds(annotations[name]) is None
    )
    return problems + _escalation_problems(annotations)


def _escalation_problems(annotations: Mapping[str, str]) -> list[str]:
    if ("escalate_to" in annotations) != ("escalate_after" in annotations):
        return ["@escalate_to and @escalate_after go together"]
    if "escalate_to" not in annotations:
        return []
    problems = []
    group = annotations["escalate_to"]
    if not _GROUP.fullmatch(group):
        problems.append(f"@escalate_to({group!r}) is not the name of a group")
    if group == annotations["require_approval"]:
        problems.append(f"@escalate_to({group!r}) names the group that is asked first; name another")
    after = duration_seconds(annotations["escalate_after"])
    ttl = (
        duration_seconds(annotations["approval_ttl"])
        if "approval_ttl" in annotations
        else DEFAULT_TTL_SECONDS
    )
    if after is not None and ttl is not None and after >= ttl:
        problems.append(
            f"@escalate_after({annotations['escalate_after']!r}) is not before the request expires"
            f" ({ttl} s): shorten it, or lengthen @approval_ttl"
        )
    return problems


def _rule(file: str, policy: pst.Template, text: str, digest: Digest) -> Rule:
    annotations = policy.annotations
    hold = None
    if "require_approval" in annotations:
        hold = Hold(
            id=annotations["id"],
            group=annotations["require_approval"],
            ttl_seconds=duration_seconds(annotations.get("approval_ttl", "")) or DEFAULT_TTL_SECONDS,
            text_digest=digest,
            reason=annotations["reason"],
            escalate_to=annotations.get("escalate_to", ""),
            escalate_after_seconds=duration_seconds(annotations.get("escalate_after", "")) or 0,
        )
    return Rule(
        id=annotations["id"],
        file=file,
        effect=RuleEffect(policy.effect),
        reason=annotations["reason"],
        text=text,
        text_digest=digest,
        hold=hold,
        decides=_DECIDES in annotations,
    )
