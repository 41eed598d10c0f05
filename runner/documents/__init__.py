"""Files that people write: text -> data with positions -> checked models, or every fault at once."""

from runner.documents.check import Many, Model, Text, check
from runner.documents.faults import Fault, closest, raise_faults, shown
from runner.documents.yaml import Data, Document, Position, parse

__all__ = [
    "Data",
    "Document",
    "Fault",
    "Many",
    "Model",
    "Position",
    "Text",
    "check",
    "closest",
    "parse",
    "raise_faults",
    "shown",
]
