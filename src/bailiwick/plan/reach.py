"""What a place in a workflow can see: which steps are over by then, and which data their contracts promise."""

from typing import Any

from bailiwick.base import Json
from bailiwick.plan.brief import brief_schema
from bailiwick.plan.conditions import (
    ConditionFailed,
    InvalidCondition,
    check_condition,
    holds,
    identifiers,
    variables_in,
)
from bailiwick.plan.findings import Finding
from bailiwick.plan.fit import Schema, at_path, misfits, types_of
from bailiwick.plan.order import Order
from bailiwick.plan.reader import child
from bailiwick.plan.references import InvalidTemplate, Reference, references_in
from bailiwick.plan.resolution import Resolution
from bailiwick.plan.source import Step, Workflow

_INTENT_TYPES = {"title": "string", "constraints": "array", "labels": "object"}
_BRIEF_FIELDS = brief_schema(("",))
_STATUS: Schema = {"type": "string"}
_BEFORE_ALL = -1


class Reach:
    """Checks references and conditions against the order of the steps and the contracts they use."""

    def __init__(self, workflow: Workflow, order: Order, resolution: Resolution) -> None:
        self.order = order
        self.resolution = resolution
        self.context = {item.id: item for item in workflow.context}
        self.at = {step.id: at for at, step in reversed(list(enumerate(order.steps)))}
        known: dict[str, Any] = {name: {"type": kind} for name, kind in _INTENT_TYPES.items()}
        self.intent = {
            "type": "object",
            "properties": {**known, "input": workflow.input},
            "additionalProperties": False,
        }

    def template_faults(self, template: Json, reader: int, pointer: str, undone: int = 0) -> list[Finding]:
        """List the references of a template that cannot resolve from where they stand.

        `undone` is a mask of the steps that the template's compensation undoes: it reads them too.
        """
        try:
            located = references_in(template, pointer)
        except InvalidTemplate as refusal:
            return [Finding("unresolved_reference", str(refusal.facts["pointer"]), refusal.message)]
        return [
            finding
            for item in located
            for finding in self.reference_faults(item.reference, reader, item.pointer, undone)
        ]

    def input_faults(
        self, template: dict[str, Json], written: str, reader: int, pointer: str, undone: int = 0
    ) -> list[Finding]:
        """List what is wrong with the input of one capability: references first, then the fit."""
        found = self.template_faults(template, reader, pointer, undone)
        contract = self.resolution.contracts.get(written)
        if found or contract is None:
            return found
        return [
            Finding("does_not_fit", pointer + error.pointer, f"{contract.ref}: {error.detail}")
            for error in misfits(template, contract.input, self.types)
        ]

    def reference_faults(
        self, reference: Reference, reader: int, pointer: str, undone: int = 0
    ) -> list[Finding]:
        """List why one reference cannot resolve; at most one reason."""
        if reference.root in ("context", "brief") and reader == _BEFORE_ALL:
            detail = f"{reference}: a context item sees the intent only"
            return [Finding("unresolved_reference", pointer, detail)]
        if reference.step and reference.step not in self.at:
            return [Finding("unknown_step", pointer, f"{reference} reads a step that does not exist")]
        detail = ""
        if reference.root == "context" and reference.path[0] not in self.context:
            detail = "the workflow's context has no such item"
        elif reference.step and reference.path[1] == "input" and not self._is_own(reference, reader, undone):
            detail = "only the compensation of a single step reads an input, and only that step's"
        elif reference.root == "previous":
            detail = self._previous_fault(reference, reader)
        elif reference.root == "steps" and not (
            self._is_over(self.at[reference.step], reader) or undone >> self.at[reference.step] & 1
        ):
            detail = "that step is not surely over by then; name it in 'after', or read $.previous in a loop"
        elif (
            reference.step and reference.path[1] == "output" and self.order.steps[self.at[reference.step]].do
        ):
            detail = "a block has no output; read a step inside it"
        elif any(found is None for found in self._schemas(reference)):
            detail = "what is read there never has such a member"
        return [Finding("unresolved_reference", pointer, f"{reference}: {detail}")] if detail else []

    def types(self, reference: Reference) -> tuple[str, ...]:
        """List the JSON types that a reference can yield; () when nothing is known."""
        promised = [types_of(found) if found else () for found in self._schemas(reference)]
        if not promised or not all(promised):
            return ()
        return tuple(dict.fromkeys(name for names in promised for name in names))

    def condition_faults(self, text: str, reader: int, pointer: str, inside: int = 0) -> list[Finding]:
        """List what is wrong with a condition; `inside` is a mask of further steps that it may read."""
        try:
            check_condition(text)
        except InvalidCondition as refusal:
            return [Finding("invalid_condition", pointer, refusal.message)]
        found: list[Finding] = []
        for name in identifiers(text) or ():
            at = self.at.get(name)
            if at is None:
                found.append(
                    Finding(
                        "unknown_step",
                        pointer,
                        f"the condition reads the step {name!r}, which does not exist",
                    )
                )
            elif not self._is_over(at, reader) and not inside >> at & 1:
                detail = f"the condition reads {name!r}, which is not surely over by then"
                found.append(Finding("unresolved_reference", pointer, detail))
        return found

    def _is_own(self, reference: Reference, reader: int, undone: int) -> bool:
        at = self.at[reference.step]
        return bool(undone) and reference.root == "steps" and at == reader and not self.order.steps[at].do

    def _is_over(self, at: int, reader: int) -> bool:
        return reader != _BEFORE_ALL and self.order.precedes(at, reader)

    def _previous_fault(self, reference: Reference, reader: int) -> str:
        loop = self.order.parents[reader] if reader != _BEFORE_ALL else -1
        while loop >= 0 and self.order.steps[loop].repeat is None:
            loop = self.order.parents[loop]
        at = self.at[reference.step]
        if loop < 0 or self.order.parents[at] != loop or self.order.steps[at].do:
            return "$.previous reads a step that stands directly in the innermost loop around the reader"
        if reference.path[1] == "output" and not reference.optional:
            return "in the first turn there is none; end the reference with '?'"
        return "what is read there never has such a member" if None in self._schemas(reference) else ""

    def _schemas(self, reference: Reference) -> list[Schema | None]:
        """Find what is promised at a reference: one schema for each capability that may have written it."""
        match reference.root:
            case "intent":
                return [at_path(self.intent, reference.path)]
            case "brief":
                return [at_path(_BRIEF_FIELDS, reference.path)]
            case "context":
                item = self.context.get(str(reference.path[0]))
                return self._outputs((item.uses,) if item else (), reference.path[1:])
            case _:
                step = self.order.steps[self.at[reference.step]]
                if reference.path[1] == "status":
                    return [_STATUS]
                if reference.path[1] == "input":
                    contract = self.resolution.contracts.get(step.uses)
                    return [at_path(contract.input, reference.path[2:])] if contract is not None else []
                return self._outputs((step.uses, step.fallback), reference.path[2:])

    def _outputs(self, written: tuple[str, ...], path: tuple[str | int, ...]) -> list[Schema | None]:
        contracts = [self.resolution.contracts[text] for text in written if text in self.resolution.contracts]
        return [at_path(contract.output, path) for contract in contracts]


def never_true(text: str) -> bool:
    """Whether a condition reads nothing that a run knows, and is not true."""
    try:
        return not variables_in(text) and not holds(text, {})
    except (ConditionFailed, InvalidCondition):
        return not variables_in(text)


def loop_faults(step: Step, at: int, order: Order, reach: Reach, most: int) -> list[Finding]:
    """List why a loop would not surely end, or could only end by its maximum."""
    if step.repeat is None:
        return []
    pointer = child(step.pointer, "repeat")
    if step.repeat.max is None or not 1 <= step.repeat.max <= most:
        return [Finding("unbounded_loop", pointer, f"'max' is missing or not within 1 to {most}")]
    until = step.repeat.until
    inside = order.subtree[at] & ~(1 << at) if step.do else order.subtree[at]
    found = reach.condition_faults(until, at, child(pointer, "until"), inside=inside)
    read = identifiers(until)
    turning = [order.steps[inner].id for inner in range(len(order.steps)) if inside >> inner & 1]
    if not found and read is not None and not any(name in turning for name in read):
        found.append(
            Finding("unbounded_loop", child(pointer, "until"), "it reads nothing that a turn changes")
        )
    return found
