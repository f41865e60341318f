"""Floor 4: what an application author writes, and what the code of an agent is handed."""

from bailiwick.app.app import (
    EVERY,
    AgentDefinition,
    App,
    CodeAgent,
    FunctionTool,
    HttpAccess,
    Intent,
    RepositorySource,
)
from bailiwick.app.context import CallRefused, Context, OutputUnknown, Parking
from bailiwick.app.failing import ToolFailed
from bailiwick.app.probe import Probe
from bailiwick.app.shorthand import object_schema

__all__ = [
    "EVERY",
    "AgentDefinition",
    "App",
    "CallRefused",
    "CodeAgent",
    "Context",
    "FunctionTool",
    "HttpAccess",
    "Intent",
    "OutputUnknown",
    "Parking",
    "Probe",
    "RepositorySource",
    "ToolFailed",
    "object_schema",
]
