"""Skill files: text -> Skill, or every fault at once; and the prompt that a skill becomes in a run."""

from runner.skill.kinds import skill_model, takes_files
from runner.skill.loader import Loaded, Skill, load
from runner.skill.models import AllowanceOptions, McpOptions, SkillFile, allowance
from runner.skill.prompt import Context, Prompt, Template, render_body, render_prompt, render_text
from runner.skill.servers import refusals

__all__ = [
    "AllowanceOptions",
    "Context",
    "Loaded",
    "McpOptions",
    "Prompt",
    "Skill",
    "SkillFile",
    "Template",
    "allowance",
    "load",
    "refusals",
    "render_body",
    "render_prompt",
    "render_text",
    "skill_model",
    "takes_files",
]
