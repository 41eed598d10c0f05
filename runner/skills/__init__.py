"""Skill files: text -> Skill, or every fault at once; and the prompt that a skill becomes in a run."""

from runner.skills.conditions import Condition
from runner.skills.inputs import inputs_from_words, resolve_inputs
from runner.skills.kinds import skill_model
from runner.skills.loader import Skill, SkillSet, load
from runner.skills.mcp_rules import refusals
from runner.skills.models import AllowanceOptions, McpOptions, SkillFile, allowance
from runner.skills.prompt import (
    Prompt,
    PromptContext,
    Template,
    render_body,
    render_key,
    render_prompt,
    render_text,
)

__all__ = [
    "AllowanceOptions",
    "Condition",
    "McpOptions",
    "Prompt",
    "PromptContext",
    "Skill",
    "SkillFile",
    "SkillSet",
    "Template",
    "allowance",
    "inputs_from_words",
    "load",
    "refusals",
    "render_body",
    "render_key",
    "render_prompt",
    "render_text",
    "resolve_inputs",
    "skill_model",
]
