"""What a command printed is its answer, and what `--json` prints of a run is what its schema says."""

import json
from datetime import datetime
from typing import Any

import jsonschema
import pytest

from tests.parts.cli import Project, skill_files

YAML = """
description: Count the docs
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "echo z >> docs/guide.md; echo The answer is 42."]}
output: OUTPUT
"""
PULL = '{pull_request: {title: t, paths: ["docs/**"]}}'


def count(project: Project, output: str) -> dict[str, Any]:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("count", YAML.replace("OUTPUT", output)))
    done = project.skillrunner("run", "count")
    assert done.code == 0, done
    told: dict[str, Any] = project.skillrunner("show", "--json").json() | {"printed": done.out}
    return told


def test_what_a_command_printed_is_its_answer_also_where_it_changed_a_file(project: Project) -> None:
    told = count(project, "{none: {}}")
    assert told["answer"] == "The answer is 42."
    assert "\nThe answer is 42.\n" in told["printed"]
    assert "nothing is published" in told["printed"]
    shown = project.skillrunner("show").out
    assert "The answer is 42." in shown
    assert "published   nothing\n" in shown


def test_what_a_command_printed_is_not_published_in_its_pull_request(project: Project) -> None:
    assert count(project, PULL)["answer"] == "The answer is 42."
    assert "The answer is 42." not in project.skillrunner("pr", "show", "1").out


def test_the_record_of_a_run_is_what_its_schema_says(project: Project) -> None:
    told = count(project, "{none: {}}")
    del told["printed"]
    schema = json.loads(project.skillrunner("schema", "run").out)
    checker = jsonschema.FormatChecker()
    checker.checks("date-time", raises=(ValueError, AssertionError))(is_rfc_3339)
    jsonschema.validate(told, schema, format_checker=checker)
    (listed,) = project.skillrunner("list", "--json").json()
    (skill,) = project.skillrunner("list", "--skills", "--json").json()
    for one in (told, listed, skill["last_run"]):
        assert is_rfc_3339(one["created_at"]), one["created_at"]
    assert is_rfc_3339(told["events"][0]["at"])


@pytest.mark.parametrize("value", ["2026-01-05 09:00:00+00:00", "2026-01-05T09:00:00"])
def test_what_is_not_rfc_3339_is_seen_here(value: str) -> None:
    assert not is_rfc_3339(value)


def is_rfc_3339(value: object) -> bool:
    return not isinstance(value, str) or (
        value[10:11] == "T" and datetime.fromisoformat(value).tzinfo is not None
    )
