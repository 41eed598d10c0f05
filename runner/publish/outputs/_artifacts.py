"""Names of the files that an agent leaves as artifacts, between the stage that collects and the output."""

import hashlib

from runner.core.model import DeclaredOutput

_KIND = "artifact"


def artifact_path(one: DeclaredOutput) -> str:
    """The path that a declared output names below the folder of artifacts; empty: it names none."""
    path = one.fields.get("path")
    return path if one.kind == _KIND and isinstance(path, str) else ""


def collected_name(path: str) -> str:
    """The name of the run's file that holds what was collected from there."""
    return f"artifact-{hashlib.sha256(path.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
