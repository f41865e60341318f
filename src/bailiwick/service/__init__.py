"""Floor 5: one module per use case: load, fold, decide, commit; and the gate."""

from bailiwick.service.core.bounds import InputTooLarge, TextTooLong, TooMany
from bailiwick.service.core.breaks import Breaks
from bailiwick.service.core.catalogue import Catalogue, model_contract
from bailiwick.service.core.limits import (
    BytesLimit,
    LimitBook,
    Limits,
    Overloaded,
    RequestsLimit,
    RunsLimit,
    StreamsLimit,
)
from bailiwick.service.core.lineage import SCHEMA
from bailiwick.service.core.refusals import (
    AlreadyDecided,
    ApprovalAltered,
    ContentsErased,
    DeadlineExpired,
    DigestMissing,
    GrantMismatch,
    InvalidIntent,
    InvalidOutcome,
    InvalidUsage,
    KeyReused,
    NotErasable,
    NotFound,
    PlannerRequired,
    PolicyDenied,
    ReasonMissing,
    ReasonTooLong,
    RunNotEnded,
    StartsRefused,
    TenantDisabled,
    Unauthenticated,
)
from bailiwick.service.core.streams import Watcher
from bailiwick.service.gate.halts import Halts, HaltsUnconfirmed, Sharing
from bailiwick.service.hands.claiming import keys_of
from bailiwick.service.people.approving import ApprovalView, Approving
from bailiwick.service.people.budgets import Budgets, InvalidScope, ScopeExhausted, taken_on
from bailiwick.service.people.identities import Identities
from bailiwick.service.people.intents import IntentRequest, parse_intent
from bailiwick.service.people.keyring import Held, Keyring
from bailiwick.service.people.reading import Probed, Question, RunDetail, event_view
from bailiwick.service.people.rendering import Shown, shown_of
from bailiwick.service.people.roll import InvalidIdentity, LastAdmin, NameTaken
from bailiwick.service.people.standing import DAY_HOURS, MadeByRequester
from bailiwick.service.platform import Platform, Stores
from bailiwick.service.proof.erasing import Erased, Erasing
from bailiwick.service.proof.inspecting import Inspecting
from bailiwick.service.proof.replaying import Difference, Replayed, replay
from bailiwick.service.proof.scrutiny import Scrutiny
from bailiwick.service.proof.signer import Signer
from bailiwick.service.proof.transcript import Transcript

__all__ = [
    "DAY_HOURS",
    "SCHEMA",
    "AlreadyDecided",
    "ApprovalAltered",
    "ApprovalView",
    "Approving",
    "Breaks",
    "Budgets",
    "BytesLimit",
    "Catalogue",
    "ContentsErased",
    "DeadlineExpired",
    "Difference",
    "DigestMissing",
    "Erased",
    "Erasing",
    "GrantMismatch",
    "Halts",
    "HaltsUnconfirmed",
    "Held",
    "Identities",
    "InputTooLarge",
    "Inspecting",
    "IntentRequest",
    "InvalidIdentity",
    "InvalidIntent",
    "InvalidOutcome",
    "InvalidScope",
    "InvalidUsage",
    "KeyReused",
    "Keyring",
    "LastAdmin",
    "LimitBook",
    "Limits",
    "MadeByRequester",
    "NameTaken",
    "NotErasable",
    "NotFound",
    "Overloaded",
    "PlannerRequired",
    "Platform",
    "PolicyDenied",
    "Probed",
    "Question",
    "ReasonMissing",
    "ReasonTooLong",
    "Replayed",
    "RequestsLimit",
    "RunDetail",
    "RunNotEnded",
    "RunsLimit",
    "ScopeExhausted",
    "Scrutiny",
    "Sharing",
    "Shown",
    "Signer",
    "StartsRefused",
    "Stores",
    "StreamsLimit",
    "TenantDisabled",
    "TextTooLong",
    "TooMany",
    "Transcript",
    "Unauthenticated",
    "Watcher",
    "event_view",
    "keys_of",
    "model_contract",
    "parse_intent",
    "replay",
    "shown_of",
    "taken_on",
]
