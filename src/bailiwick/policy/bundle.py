"""A bundle: one immutable version of all policies, and the verdicts it gives; whatever fails is a denial."""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import cedarpy
import msgspec

from bailiwick.base import Digest, canonical
from bailiwick.policy.attributes import APPROVALS
from bailiwick.policy.projection import Projection, Question
from bailiwick.policy.request import ActionRequest
from bailiwick.policy.rules import Hold, Rule, rules_of
from bailiwick.policy.syntax import reads_of
from bailiwick.policy.text import SCHEMA_FILE, policy_files, version_of

MEMO_ENTRIES = 4096
MAX_KEY_BYTES = 256 * 1024
_MAX_ERROR = 300
_UNPERMITTED = "no policy permits this action"
_UNDECIDED = "policy could not be evaluated; what cannot be decided is denied"


class VerdictKind(StrEnum):
    """What policy says of an action."""

    ALLOW = "allow"
    HOLD = "hold"
    DENY = "deny"


class Verdict(msgspec.Struct, frozen=True):
    """What a bundle says of one action.

    Attributes:
        effect: Allow, hold (an approval by every group in `holds` turns it into allow), or deny.
        policies: Ids of the policies that decided, sorted; empty when nothing matched.
        reasons: Their reasons, sorted, each once.
        version: The bundle's version.
        holds: What a held action waits for, by id; empty unless held.
        errors: What failed while deciding; then the effect is deny.
    """

    effect: VerdictKind
    policies: tuple[str, ...]
    reasons: tuple[str, ...]
    version: Digest
    holds: tuple[Hold, ...] = ()
    errors: tuple[str, ...] = ()


class Bundle:
    """Schema and policies of one version, parsed. Make one with `build_bundle`, which checks the text first.

    Args:
        files: The schema and the policy files, by name; sound (see `compile_text`).
        memo_entries: How many verdicts to remember at most, the least recently used go first.

    Raises:
        ValueError: The text does not parse.
        KeyError: A policy lacks `@id` or `@reason`, or there is no schema.
    """

    def __init__(self, files: Mapping[str, str], *, memo_entries: int = MEMO_ENTRIES) -> None:
        self._files = MappingProxyType(dict(files))
        self._version = version_of(files)
        self._body = canonical(dict(files))
        self._schema = cedarpy.Schema.from_str(files[SCHEMA_FILE])
        sources = policy_files(files)
        self._policies = cedarpy.PolicySet.from_str("\n".join(text for _, text in sources))
        rules = [rule for name, text in sources for rule in rules_of(name, text)]
        self._rules: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in rules})
        tree = self._policies.to_pst()
        self._ids = {number: policy.annotations["id"] for number, policy in tree.static_policies.items()}
        self._projection = Projection(reads_of(tree))
        self._remembered = lru_cache(memo_entries)(self._evaluate)

    @property
    def version(self) -> Digest:
        """The digest that names this bundle."""
        return self._version

    @property
    def files(self) -> Mapping[str, str]:
        """The schema and the policy files, by name."""
        return self._files

    @property
    def body(self) -> bytes:
        """The canonical bytes of the files; the version is their digest."""
        return self._body

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The policies by id."""
        return self._rules

    def deciding(self, policies: tuple[str, ...]) -> tuple[str, ...]:
        """Name those of these policies under which a probe's answer decides."""
        return tuple(id for id in policies if id in self._rules and self._rules[id].decides)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that decide, such as `context.untrusted`; no other can change a verdict."""
        return self._projection.attributes

    def decide(self, request: ActionRequest) -> Verdict:
        """Say whether an action is allowed, held or denied. It never raises; what fails is denied."""
        try:
            key = self._projection.key(request)
            if len(key) > MAX_KEY_BYTES:
                return self._failed(f"{len(key)} bytes of attributes; at most {MAX_KEY_BYTES}")
            return self._remembered(key)
        except Exception as error:  # a gate that raises is a gate that somebody will catch open
            return self._failed(f"{type(error).__name__}: {error}")

    def _evaluate(self, key: bytes) -> Verdict:
        question = self._projection.question(key)
        first = self._ask(question)
        matched = self._names(first)
        if first.diagnostics.errors or first.decision is cedarpy.Decision.NoDecision:
            return self._failed(*(first.diagnostics.errors or ["no decision"]), policies=matched)
        if first.allowed:
            return self._verdict(VerdictKind.ALLOW, matched)
        holds = tuple(hold for hold in (self._rules[name].hold for name in matched) if hold is not None)
        if not matched or len(holds) < len(matched):
            return self._verdict(VerdictKind.DENY, matched)
        context = question.request["context"]
        granted = sorted({*context[APPROVALS], *(hold.group for hold in holds)})
        approved = {**question.request, "context": {**context, APPROVALS: granted}}
        second = self._ask(Question(approved, question.entities))
        if second.diagnostics.errors or not second.allowed:
            # Approval would not help, so nobody is asked for it.
            return self._verdict(VerdictKind.DENY, self._names(second))
        return self._verdict(VerdictKind.HOLD, matched, holds)

    def _ask(self, question: Question) -> cedarpy.AuthzResult:
        entities: list[dict[Any, Any]] = list(question.entities)
        return cedarpy.is_authorized(question.request, self._policies, entities, self._schema)

    def _names(self, result: cedarpy.AuthzResult) -> tuple[str, ...]:
        return tuple(sorted(self._ids[number] for number in result.diagnostics.reasons))

    def _verdict(
        self, effect: VerdictKind, policies: tuple[str, ...], holds: tuple[Hold, ...] = ()
    ) -> Verdict:
        reasons = tuple(sorted({self._rules[name].reason for name in policies})) or (_UNPERMITTED,)
        return Verdict(effect, policies, reasons, self._version, holds)

    def _failed(self, *errors: str, policies: tuple[str, ...] = ()) -> Verdict:
        cut = tuple(sorted(error[:_MAX_ERROR] for error in errors))
        return Verdict(VerdictKind.DENY, policies, (_UNDECIDED,), self._version, (), cut)
