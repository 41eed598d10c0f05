"""Loads skills from the files of their folders, or reports every fault. Pure: it gets paths and bytes."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from runner.config.documents import Document, Fault, Model, check, parse
from runner.publish.outputs import OUTPUTS, publishing_order
from runner.skills import skill_md
from runner.skills.kinds import skill_model
from runner.skills.mcp_rules import check_servers
from runner.skills.models import SkillFile, present_kinds
from runner.skills.prompt import Template
from runner.triggers import TriggerOptions
from runner.triggers.run_completed import RunCompleted
from runner.triggers.schedule import Schedule, Schedules

MAX_FILE = 256 * 1024
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SKILL_FILE = "skill.yaml"
PROMPT_FILE = "SKILL.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A skill, loaded from its files and checked."""

    name: str
    path: str  # the folder
    digest: str  # sha256 over all files of the folder
    description: str
    options: SkillFile
    prompt: Template

    @property
    def file(self) -> str:
        return f"{self.path}/{SKILL_FILE}"

    @property
    def triggers(self) -> Mapping[str, TriggerOptions]:
        """The triggers that it names, and their options."""
        return present_kinds(self.options.on)

    @property
    def schedules(self) -> Sequence[Schedule]:
        """The lines of its timetable."""
        schedules = self.triggers.get("schedule")
        return schedules.root if isinstance(schedules, Schedules) else ()

    @property
    def follows(self) -> str:
        """The name of the skill whose runs start it when they end; empty: it follows none."""
        followed = self.triggers.get("run_completed")
        return followed.skill if isinstance(followed, RunCompleted) else ""

    @property
    def outputs(self) -> Mapping[str, Model]:
        """The outputs that it names, and their options, in the order in which they are published."""
        named = present_kinds(self.options.output)
        return {kind: named[kind] for kind in publishing_order(tuple(named))}

    @property
    def publishes(self) -> bool:
        """Whether anything of its runs leaves the runner."""
        return any(OUTPUTS.get(kind).publishes for kind in self.outputs)

    @property
    def base_branch(self) -> str | None:
        """The branch that its outputs ask to start from; None: the default branch."""
        asked = (OUTPUTS.get(kind).base_branch(options) for kind, options in self.outputs.items())
        return next((one for one in asked if one), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillSet:
    """The skills of a set of files, and its faults. A skill with a fault is not among the skills."""

    skills: Mapping[str, Skill]
    faults: tuple[Fault, ...]


def load(files: Mapping[str, bytes]) -> SkillSet:
    """Load every folder among `files` (path -> content) that has a `skill.yaml`."""
    skills: dict[str, Skill] = {}
    faults: list[Fault] = []
    for path, inside in sorted(_folders(files).items()):
        skill, found = _load_one(path, inside)
        if skill is not None and skill.name in skills:
            message = f"a skill of this name is there already, in {skills[skill.name].path}"
            found.append(Fault(skill.file, 1, 1, message, skill.name, "rename one of the folders"))
        elif skill is not None:
            skills[skill.name] = skill
        faults.extend(sorted(set(found)))
    return SkillSet(skills=skills, faults=tuple(faults))


def _folders(files: Mapping[str, bytes]) -> Mapping[str, dict[str, bytes]]:
    """The skill folders, each with the files below it by their path inside."""
    split = [path.rpartition("/") for path in files]
    roots = {parent or "." for parent, _, name in split if name in (SKILL_FILE, "skill.yml")}
    folders: dict[str, dict[str, bytes]] = defaultdict(dict)
    for path, content in files.items():
        parent = path.rpartition("/")[0]
        while parent and parent not in roots:
            parent = parent.rpartition("/")[0]
        if (parent or ".") in roots:
            folders[parent or "."][path.removeprefix(f"{parent}/")] = content
    return folders


def digest(inside: Mapping[str, bytes]) -> str:
    """sha256 over the paths and contents of a folder's files."""
    total = hashlib.sha256()
    for name, content in sorted(inside.items()):
        total.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
        total.update(content)
    return total.hexdigest()


def _load_one(path: str, inside: Mapping[str, bytes]) -> tuple[Skill | None, list[Fault]]:
    file = f"{path}/{SKILL_FILE}"
    if SKILL_FILE not in inside:
        wrong = Fault(
            f"{path}/skill.yml", 1, 1, "this file is not read", "skill.yml", f"rename it to {SKILL_FILE}"
        )
        return None, [wrong]
    document = parse(file, inside[SKILL_FILE].replace(b"\r\n", b"\n"), limit=MAX_FILE)
    options = None if document.is_broken else check(skill_model(), document)
    name = _name(document, path)
    instructions = skill_md.read(f"{path}/{PROMPT_FILE}", inside.get(PROMPT_FILE), name)
    prompt = _prompt(document, instructions)
    description = _description(document, instructions)
    data = document.data if isinstance(document.data, dict) else {}
    if not document.is_broken:
        skill_md.check_templates(document, data, prompt)
    if options is not None:
        check_servers(document, options)
    faults = [*document.faults, *instructions.faults]
    if options is None or faults or prompt is None:
        return None, faults
    loaded = Skill(
        name=name, path=path, digest=digest(inside), description=description, options=options, prompt=prompt
    )
    return loaded, faults


def _name(document: Document, path: str) -> str:
    name = PurePosixPath(path).name
    if NAME.fullmatch(name) is None or len(name) > 64:
        hint = "rename the folder: 1-64 characters of a-z, 0-9 and single hyphens between them"
        document.fault((1, 1), "the folder's name is not a skill's name", name, hint)
    return name


def _prompt(document: Document, instructions: skill_md.Instructions) -> Template | None:
    data = document.data if isinstance(document.data, dict) else {}
    if "prompt" in data:
        text = data["prompt"]
        line = document.value(("prompt",))[0] + (("prompt",) in document.blocks)
        blank = not isinstance(text, str) or not text.strip()
        return None if blank else Template(text=text, file=document.file, first_line=line)
    if not instructions.is_present and not document.is_broken:
        hint = f"write the instructions into {PROMPT_FILE} beside it, or under `prompt:`"
        document.fault((1, 1), "the skill has no instructions", None, hint)
    return instructions.template


def _description(document: Document, instructions: skill_md.Instructions) -> str:
    data = document.data if isinstance(document.data, dict) else {}
    said = data.get("description", instructions.description)
    if not said and not instructions.is_present and not document.is_broken and "description" not in data:
        document.fault((1, 1), "`description` is missing", None, "say in one line what the skill is for")
    return said if isinstance(said, str) else ""
