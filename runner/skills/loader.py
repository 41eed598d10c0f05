"""Loads skills from the files of their folders, or reports every fault. Pure: it gets paths and bytes."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from runner.config.documents import Document, DocumentPath, Fault, Model, check, parse
from runner.publish.outputs import OUTPUTS, publishing_order
from runner.skills import skill_md
from runner.skills.kinds import skill_model
from runner.skills.mcp_rules import check_servers
from runner.skills.models import SkillFile, present_kinds
from runner.skills.prompt import Template
from runner.triggers import TriggerOptions
from runner.triggers.cron import surprises
from runner.triggers.run_completed import RunCompleted
from runner.triggers.schedule import Schedule, Schedules

MAX_FILE = 256 * 1024
CASES, CASE_FILE = "cases", "case.yaml"
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
    has_files: bool = False  # whether its folder has more for the agent than its instructions
    is_plain: bool = False  # whether it is a SKILL.md alone, which is run by hand
    lines: Mapping[DocumentPath, int] = field(default_factory=dict)  # where the texts under `output` begin

    @property
    def file(self) -> str:
        return f"{self.path}/{PROMPT_FILE if self.is_plain else SKILL_FILE}"

    @property
    def triggers(self) -> Mapping[str, TriggerOptions]:
        """The triggers that it names, and their options."""
        return present_kinds(self.options.on)

    @property
    def heard_kinds(self) -> frozenset[str]:
        """The kinds of events that may start it."""
        others = (kind for options in self.triggers.values() for kind in options.for_other_kinds())
        return frozenset({*self.triggers, *others})

    @property
    def commands(self) -> frozenset[str]:
        """The names of the commands that start it."""
        return frozenset(one.command_name for one in self.triggers.values() if one.command_name)

    def listeners(self, kind: str) -> Sequence[TriggerOptions]:
        """The options under which it hears events of a kind; those of the trigger of that name come last."""
        others = (options.for_other_kinds().get(kind) for options in self.triggers.values())
        return [one for one in (*others, self.triggers.get(kind)) if one is not None]

    def listener(self, kind: str, payload: Mapping[str, Any]) -> TriggerOptions | None:
        """Those that the event fits, or the last; None: it hears no events of the kind."""
        found = self.listeners(kind)
        return next((one for one in found if not one.mismatch(payload)), found[-1] if found else None)

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
    warnings: tuple[Fault, ...] = ()  # what is read, and probably not meant so

    @property
    def commands(self) -> frozenset[str]:
        """The names of all commands that start one of the skills."""
        return frozenset(name for skill in self.skills.values() for name in skill.commands)


def load(files: Mapping[str, bytes], *, plain: bool = False) -> SkillSet:
    """Load every folder among `files` (path -> content) that has a `skill.yaml`.

    With `plain` also those with a SKILL.md alone, as other clients know them: skills to be run by hand.
    """
    skills: dict[str, Skill] = {}
    faults: list[Fault] = []
    warnings: list[Fault] = []
    folders = _folders(files, plain)
    for path, inside in sorted(folders.items()):
        skill, found, doubts = _load_one(path, inside)
        found.extend(_case_twins(path, folders))
        warnings.extend(sorted(set(doubts)))
        if skill is not None and skill.name in skills:
            message = f"a skill of this name is there already, in {skills[skill.name].path}"
            found.append(Fault(skill.file, 1, 1, message, skill.name, "rename one of the folders"))
        elif skill is not None:
            skills[skill.name] = skill
        faults.extend(sorted(set(found)))
    return SkillSet(skills=skills, faults=tuple(faults), warnings=tuple(warnings))


def _folders(files: Mapping[str, bytes], plain: bool) -> Mapping[str, dict[str, bytes]]:
    """The skill folders, each with the files below it by their path inside.

    A skill may lie in another one's folder; a SKILL.md alone in there is one of that one's files.
    """
    split = [path.rpartition("/") for path in files]
    roots = {parent or "." for parent, _, name in split if is_skill_file(name, plain=False)}
    if plain:
        alone = {parent or "." for parent, _, name in split if is_skill_file(name)} - roots
        roots |= {path for path in alone if not _is_below(path, roots | alone)}
    folders: dict[str, dict[str, bytes]] = defaultdict(dict)
    for path, content in files.items():
        parent = path.rpartition("/")[0]
        while parent and parent not in roots:
            parent = parent.rpartition("/")[0]
        if (parent or ".") in roots:
            folders[parent or "."][path.removeprefix(f"{parent}/")] = content
    return folders


def _is_below(path: str, others: Collection[str]) -> bool:
    return any(str(above) in others for above in PurePosixPath(path).parents)


def is_skill_file(name: str, plain: bool = True) -> bool:
    """Whether a file of this name makes a folder a skill's, in whatever case it is written."""
    return name.lower() in _SPELLINGS and (plain or name.lower() != PROMPT_FILE.lower())


_SPELLINGS = {"skill.yaml": SKILL_FILE, "skill.yml": SKILL_FILE, "skill.md": PROMPT_FILE}
"""By the name in lower case: how it is to be written."""


def _misspelt(path: str, inside: Collection[str], *, twins: bool) -> Iterator[Fault]:
    """The files that are not read because of how their names are written; `twins`: beside the right one."""
    for name in inside:
        right = _SPELLINGS.get(name.lower(), name)
        if name != right and (right in inside) is twins:
            hint = f"remove it: {right} is there too" if twins else f"rename it to {right}"
            yield Fault(f"{path}/{name}", 1, 1, "this file is not read", name, hint)


def _case_twins(path: str, folders: Collection[str]) -> Iterator[Fault]:
    """The fault of a folder that is the same as another one where case does not count."""
    twin = next((one for one in sorted(folders) if one != path and one.lower() == path.lower()), None)
    if twin is not None:
        message = f"differs from {twin} only in case: where case does not count they are one folder"
        yield Fault(f"{path}/{SKILL_FILE}", 1, 1, message, PurePosixPath(path).name, "rename one of them")


def _left_out(path: str, inside: Collection[str]) -> Iterator[Fault]:
    """What lies in a skill's folder and looks as if it were read."""
    yield from _misspelt(path, inside, twins=True)
    cases = {name.split("/")[1] for name in inside if name.startswith(f"{CASES}/") and name.count("/") > 1}
    for case in sorted(cases):
        if f"{CASES}/{case}/{CASE_FILE}" not in inside:
            file, message = f"{path}/{CASES}/{case}", f"has no {CASE_FILE}: no test runs it"
            hint = f"skillrunner record {PurePosixPath(path).name} --case {case}, or remove the folder"
            yield Fault(file, 1, 1, message, "", hint)


def digest(inside: Mapping[str, bytes]) -> str:
    """sha256 over the paths and contents of a folder's files."""
    total = hashlib.sha256()
    for name, content in sorted(inside.items()):
        total.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
        total.update(content)
    return total.hexdigest()


def _load_one(path: str, inside: Mapping[str, bytes]) -> tuple[Skill | None, list[Fault], list[Fault]]:
    """(the skill, its faults, its warnings); no skill where there is a fault"""
    file, misspelt = f"{path}/{SKILL_FILE}", list(_misspelt(path, inside, twins=False))
    if SKILL_FILE not in inside:
        if misspelt or PROMPT_FILE not in inside:
            return None, misspelt, []
        return _load_plain(path, inside)
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
        _warn(document, data, options, instructions)
    faults = [*document.faults, *instructions.faults, *misspelt]
    warnings = [*document.warnings, *instructions.warnings, *_left_out(path, inside)]
    if options is None or faults or prompt is None:
        return None, faults, warnings
    loaded = Skill(
        name=name,
        path=path,
        digest=digest(inside),
        description=description,
        options=options,
        prompt=prompt,
        has_files=has_files(inside),
        lines=skill_md.output_lines(document, data),
    )
    return loaded, faults, warnings


def has_files(inside: Collection[str]) -> bool:
    """Whether a folder has more for the agent than its instructions: cases are for tests."""
    return any(name not in (SKILL_FILE, PROMPT_FILE) and not name.startswith(f"{CASES}/") for name in inside)


def _load_plain(path: str, inside: Mapping[str, bytes]) -> tuple[Skill | None, list[Fault], list[Fault]]:
    """A SKILL.md alone: nothing starts it but a person, and what it changes is proposed as a draft."""
    document = Document(f"{path}/{PROMPT_FILE}")
    name = _name(document, path)
    found = skill_md.read(document.file, inside[PROMPT_FILE], name)
    faults = [*document.faults, *found.faults]
    if faults or found.template is None:
        return None, faults, found.warnings
    prompt = replace(found.template, is_literal=True)
    skill_md.check_templates(document, {}, prompt)
    if document.faults:
        return None, document.faults, found.warnings
    said = {
        "version": 1,
        "harness": {"kind": PLAIN_HARNESS},
        "output": {"pull_request": {"title": f"{name}: what it changed"}},
    }
    loaded = Skill(
        name=name,
        path=path,
        digest=digest(inside),
        description=found.description,
        options=skill_model().model_validate(said),
        prompt=prompt,
        has_files=has_files(inside),
        is_plain=True,
    )
    return loaded, [], found.warnings


PLAIN_HARNESS = "claude-code"


def _warn(
    document: Document, data: Mapping[str, Any], options: SkillFile, found: skill_md.Instructions
) -> None:
    """Tell of what is valid, and may not mean what its writer expects."""
    if "prompt" in data and found.template is not None:
        message = f"`prompt` is read in place of the instructions in {PROMPT_FILE}"
        document.warn(document.key(("prompt",)), message, None, "keep one of them")
    schedules = present_kinds(options.on).get("schedule")
    for number, line in enumerate(schedules.root if isinstance(schedules, Schedules) else ()):
        for message, hint in surprises(line.cron):
            place = document.value(("on", "schedule", number, "cron"))
            document.warn(place, message, line.cron, hint)


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
    if instructions.template is None or data.get("template") is True:
        return instructions.template
    return replace(instructions.template, is_literal=True)


def _description(document: Document, instructions: skill_md.Instructions) -> str:
    data = document.data if isinstance(document.data, dict) else {}
    said = data.get("description", instructions.description)
    if not said and not instructions.is_present and not document.is_broken and "description" not in data:
        document.fault((1, 1), "`description` is missing", None, "say in one line what the skill is for")
    return said if isinstance(said, str) else ""
