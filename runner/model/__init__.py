"""The records that the stages of a run hand to each other: frozen, typed, free of behaviour.

Paths inside a repository are POSIX strings, times are aware UTC datetimes, durations are seconds,
sizes are bytes, costs are US dollars.
"""

from runner.model.ends import End, Phase, Reason, RunState
from runner.model.outside import Caps, Exit, OnOutput, Places, Remote, Say, Stream
from runner.model.proposal import Artifact, Check, Declared, FileChange, Proposal, Receipt, Refusal
from runner.model.run import Letter, Run, RunEvent
from runner.model.spec import (
    Allowance,
    Environment,
    HarnessSpec,
    Limits,
    OutputSpec,
    Repository,
    Resources,
    RunSpec,
    SkillRef,
    Trigger,
)
from runner.model.transcript import (
    FileEdit,
    Finish,
    Message,
    Metered,
    Outcome,
    Problem,
    Reasoning,
    Session,
    ToolCall,
    ToolResult,
    TranscriptEvent,
    Unknown,
    Usage,
)

__all__ = [
    "Allowance",
    "Artifact",
    "Caps",
    "Check",
    "Declared",
    "End",
    "Environment",
    "Exit",
    "FileChange",
    "FileEdit",
    "Finish",
    "HarnessSpec",
    "Letter",
    "Limits",
    "Message",
    "Metered",
    "OnOutput",
    "Outcome",
    "OutputSpec",
    "Phase",
    "Places",
    "Problem",
    "Proposal",
    "Reason",
    "Reasoning",
    "Receipt",
    "Refusal",
    "Remote",
    "Repository",
    "Resources",
    "Run",
    "RunEvent",
    "RunSpec",
    "RunState",
    "Say",
    "Session",
    "SkillRef",
    "Stream",
    "ToolCall",
    "ToolResult",
    "TranscriptEvent",
    "Trigger",
    "Unknown",
    "Usage",
]
