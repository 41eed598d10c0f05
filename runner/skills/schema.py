"""JSON Schemas from the models: `python -m runner.skills.schema [FOLDER]` writes all of them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from runner.config.documents import Data
from runner.config.settings import Config
from runner.core.model import Proposal, Run, TranscriptEvent
from runner.publish.attestation.statement import Statement
from runner.skills.kinds import skill_model

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path("schemas")


def schemas() -> Mapping[str, dict[str, Any]]:
    """The schema of every format, by its name."""
    return {
        "skill": _schema("Skill", skill_model().model_json_schema(schema_generator=_Generator)),
        "config": _schema("Configuration", Config.model_json_schema(schema_generator=_Generator)),
        "run": _record("Run", Run),
        "proposal": _record("Proposal", Proposal),
        "transcript": _record("Transcript event", TranscriptEvent),
        "attestation": _schema("Attestation", Statement.model_json_schema(schema_generator=_Generator)),
    }


class _Generator(GenerateJsonSchema):
    """No titles that only repeat names, no default `null`, which no file may say, no keys but those named."""

    def field_title_should_be_set(self, schema: Data) -> bool:
        return False

    def dict_schema(self, schema: Data) -> dict[str, Any]:
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made

    def default_schema(self, schema: Data) -> dict[str, Any]:
        made = super().default_schema(schema)
        if made.get("default", 0) is None:
            del made["default"]
        return made


def _record(title: str, form: Data) -> dict[str, Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(form)
    return _schema(title, adapter.json_schema(mode="serialization", schema_generator=_Generator))


def _schema(title: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFT, **body, "title": title}


def schema_text(schema: Mapping[str, Any]) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> list[Path]:
    """Write every schema into `folder`; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in schemas().items():
        path = folder / f"{name}.schema.json"
        path.write_text(schema_text(schema), encoding="utf-8")
        paths.append(path)
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
