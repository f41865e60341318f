"""Floor 5: one module per use case: load, fold, decide, commit; and the gate."""

from bailiwick.service.approving import ApprovalView, Approving
from bailiwick.service.catalogue import Catalogue, model_contract
from bailiwick.service.claiming import keys_of
from bailiwick.service.intents import IntentRequest, parse_intent
from bailiwick.service.keyring import Keyring
from bailiwick.service.planned import Planned, check_planned
from bailiwick.service.platform import Platform, Stores
from bailiwick.service.reading import Question, RunDetail, event_view
from bailiwick.service.refusals import (
    AlreadyDecided,
    DeadlineExpired,
    GrantMismatch,
    InvalidIntent,
    InvalidOutcome,
    KeyReused,
    NotFound,
    PolicyDenied,
    SessionLost,
    Unauthenticated,
)
from bailiwick.service.sequencing import Signer
from bailiwick.service.streams import Watcher

__all__ = [
    "AlreadyDecided",
    "ApprovalView",
    "Approving",
    "Catalogue",
    "DeadlineExpired",
    "GrantMismatch",
    "IntentRequest",
    "InvalidIntent",
    "InvalidOutcome",
    "KeyReused",
    "Keyring",
    "NotFound",
    "Planned",
    "Platform",
    "PolicyDenied",
    "Question",
    "RunDetail",
    "SessionLost",
    "Signer",
    "Stores",
    "Unauthenticated",
    "Watcher",
    "check_planned",
    "event_view",
    "keys_of",
    "model_contract",
    "parse_intent",
]
