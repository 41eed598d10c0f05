"""Skill folders as bytes, and a skill with everything in it."""

from collections.abc import Mapping

from runner.skills import Skill, SkillSet, load

YAML = """\
version: 1
description: Bring the docs up to date after each release
on:
  release: {types: [published]}
  schedule:
    - cron: "0 9 * * 1"
      timezone: Europe/Berlin
      catch_up: 6h
overlap: skip
inputs:
  depth: {type: number, default: 2}
  tone: {type: choice, options: [dry, warm], default: dry}
environment:
  image: python:3.12-slim
  setup: ["pip install -e .[docs]"]
  secrets: [DOCS_TOKEN]
  network: {allow: [pypi, "api.example.com"]}
  mcp:
    issues: {url: "https://api.example.com/mcp"}
    words: {command: [words, --stdio], variables: {LANG: en}}
  resources: {cpus: 2, memory: 4g, pids: 512}
harness: {kind: claude-code, model: sonnet}
tools: [declare_output, note]
limits: {timeout: 45m, idle: 10m, cost_usd: 5, attempts: 2}
verify: ["make docs"]
output:
  pull_request:
    title: "docs: update for {{ event.release.tag_name }}"
    paths: ["docs/**", "README.md"]
    labels: [documentation]
    draft: true
template: true
"""

TEXT = """\
---
name: docs
description: Bring the docs up to date
---

Update the docs for {{ event.release.tag_name }}, {{ inputs.depth }} levels deep.
"""


def folder(yaml: str | bytes = YAML, text: str | bytes | None = TEXT, name: str = "docs") -> dict[str, bytes]:
    """The files of one skill."""
    files = {f"skills/{name}/skill.yaml": yaml.encode() if isinstance(yaml, str) else yaml}
    if text is not None:
        files[f"skills/{name}/SKILL.md"] = text.encode() if isinstance(text, str) else text
    return files


def loaded(yaml: str | bytes = YAML, text: str | bytes | None = TEXT, name: str = "docs") -> SkillSet:
    return load(folder(yaml, text, name))


def the_skill(files: Mapping[str, bytes]) -> Skill:
    """The one skill in `files`, which has no faults."""
    found = load(files)
    assert found.faults == ()
    (skill,) = found.skills.values()
    return skill
