"""Floor 5: one module per use case: load, fold, decide, commit; and the gate."""

from bailiwick.service.approving import ApprovalView, Approving
from bailiwick.service.bounds import InputTooLarge, TextTooLong, TooMany
from bailiwick.service.breaks import Breaks
from bailiwick.service.budgets import Budgets, InvalidScope, ScopeExhausted, taken_on
from bailiwick.service.catalogue import Catalogue, model_contract
from bailiwick.service.claiming import keys_of
from bailiwick.service.erasing import Erased, Erasing
from bailiwick.service.halts import Halts, HaltsUnconfirmed, Sharing
from bailiwick.service.identities import Identities
from bailiwick.service.inspecting import Inspecting
from bailiwick.service.intents import IntentRequest, parse_intent
from bailiwick.service.keyring import Held, Keyring
from bailiwick.service.limits import (
    BytesLimit,
    LimitBook,
    Limits,
    Overloaded,
    RequestsLimit,
    RunsLimit,
    StreamsLimit,
)
from bailiwick.service.lineage import SCHEMA
from bailiwick.service.pinned import FEEDBACK
from bailiwick.service.planned import Planned, check_planned
from bailiwick.service.platform import Platform, Stores
from bailiwick.service.reading import Probed, Question, RunDetail, event_view
from bailiwick.service.refusals import (
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
    SessionLost,
    StartsRefused,
    TenantDisabled,
    Unauthenticated,
)
from bailiwick.service.rendering import Shown, shown_of
from bailiwick.service.replaying import Difference, Replayed, replay
from bailiwick.service.roll import InvalidIdentity, LastAdmin, NameTaken
from bailiwick.service.scrutiny import Scrutiny
from bailiwick.service.signer import Signer
from bailiwick.service.standing import DAY_HOURS, MadeByRequester
from bailiwick.service.streams import Watcher
from bailiwick.service.transcript import Transcript

__all__ = [
    "DAY_HOURS",
    "FEEDBACK",
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
    "Planned",
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
    "SessionLost",
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
    "check_planned",
    "event_view",
    "keys_of",
    "model_contract",
    "parse_intent",
    "replay",
    "shown_of",
    "taken_on",
]
