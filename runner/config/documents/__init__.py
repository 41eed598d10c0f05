"""Files that people write: text -> data with positions -> checked models, or every fault at once."""

from runner.config.documents.diagnostics import Fault, closest, raise_faults, value_text
from runner.config.documents.validate import Many, Model, Text, check
from runner.config.documents.yaml import Data, Document, DocumentPath, LineColumn, parse

__all__ = [
    "Data",
    "Document",
    "DocumentPath",
    "Fault",
    "LineColumn",
    "Many",
    "Model",
    "Text",
    "check",
    "closest",
    "parse",
    "raise_faults",
    "value_text",
]
