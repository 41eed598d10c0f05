"""Reads what a command line names: a skill, and the trigger of its run."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.clients.git import files_at
from runner.config.documents import closest, raise_faults
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Trigger
from runner.core.payload import parse_json
from runner.run.place import LocalPlace
from runner.skills import Skill, inputs_from_words, load
from runner.skills.discover import discover, modes
from runner.triggers import TRIGGERS, actor, kind_of
from runner.triggers.options import BotNames


def read_skill(place: LocalPlace, name: str) -> Skill:
    """The skill in the working tree. Raises RunnerError with all its faults, or when there is none."""
    found = discover(place.local.root, place.config.skills)
    loaded = load(found.files, plain=True)
    if name in loaded.skills:
        return loaded.skills[name]
    faults = [fault for fault in (*found.faults, *loaded.faults) if f"/{name}/" in f"/{fault.file}"]
    if faults:
        raise_faults(faults, Phase.LOAD, Reason.INVALID_SKILL)
    hint = closest(name, sorted(loaded.skills)) if loaded.skills else f"skillrunner new {name}"
    folders = ", ".join(place.config.skills)
    message = f"there is no skill {name!r} in {place.local.root} (looked in {folders})"
    raise RunnerError(Phase.LOAD, Reason.SKILL_NOT_FOUND, message, hint=hint)


def read_skills(place: LocalPlace) -> list[Skill]:
    """All skills of the working tree. Raises RunnerError with all their faults."""
    found = discover(place.local.root, place.config.skills)
    loaded = load(found.files)
    if faults := [*found.faults, *loaded.faults]:
        raise_faults(faults, Phase.LOAD, Reason.INVALID_SKILL)
    return list(loaded.skills.values())


def commit_of(place: LocalPlace, skill: Skill) -> str | None:
    """The commit whose version of the skill equals the working tree's; None: it is not committed so."""
    files = files_at(place.local.root, place.local.head_sha, [skill.path])
    committed = load(files, plain=True).skills.get(skill.name)
    return place.local.head_sha if committed is not None and committed.digest == skill.digest else None


def skill_files(place: LocalPlace, skill: Skill) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file in the skill's folder of the working tree, by path in the repository."""
    root = place.local.root / skill.path
    return {f"{skill.path}/{name}": (mode, (root / name).read_bytes()) for name, mode in modes(root).items()}


def read_trigger(
    skill: Skill, event_file: Path | None, kind: str | None, inputs: Sequence[str], run_id: str, mention: str
) -> Trigger:
    """The trigger of the run: an event's payload from a file, or `manual`.

    What a command in the event says are inputs, where none are given; `mention` is the login by which it may
    mention us.
    """
    given = dict(_pair(text) for text in inputs)
    now = datetime.now(UTC)
    if kind is not None and kind not in TRIGGERS.names():
        raise _bad_input(f"there is no trigger {kind!r}", closest(kind, TRIGGERS.names()))
    if event_file is None:
        kind = kind or "manual"
        _check_trigger(skill, kind)
        slot = {"schedule": {"due": now.isoformat()}} if kind == "schedule" else {}
        actor_name = os.environ.get("USER")
        return Trigger(kind=kind, key=f"{kind}:{run_id}", at=now, event=slot, inputs=given, actor=actor_name)
    event = _payload(event_file)
    kind = kind or kind_of(event) or ""
    if not kind:
        raise _bad_input(f"{event_file}: cannot tell what kind of event this is", "name it with --trigger")
    _check_trigger(skill, kind)
    return Trigger(
        kind=kind,
        key=TRIGGERS.get(kind).key(event),
        subject=TRIGGERS.get(kind).subject(event),
        actor=actor(event),
        at=now,
        event=event,
        inputs=given or _said(skill, kind, event, mention),
    )


def _said(skill: Skill, kind: str, event: dict[str, Any], mention: str) -> dict[str, str]:
    options = skill.listener(kind, event)
    said = options.arguments(event, BotNames(mention, skill.commands)) if options is not None else None
    return inputs_from_words(skill, said.words, said.values) if said is not None else {}


def _check_trigger(skill: Skill, kind: str) -> None:
    if kind != "manual" and kind not in skill.heard_kinds:
        names = ", ".join(skill.triggers) or "nothing"
        raise _bad_input(f"{skill.file} is started by {names}, not by `{kind}`", f"add `{kind}` under `on:`")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise _bad_input(f"--input {text!r} has no `=`", "--input NAME=VALUE")
    return name, value


def _payload(path: Path) -> dict[str, Any]:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        found = parse_json(raw)
    except OSError as error:
        raise _bad_input(f"{path}: {error.strerror}", "check the path given to --event") from error
    except ValueError as error:
        raise _bad_input(f"{path} is not JSON: {error}", "give the payload as GitHub sends it") from error
    if not isinstance(found, dict):
        raise _bad_input(f"{path} holds {type(found).__name__}, not an object", "give one event's payload")
    return found


def _bad_input(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint)
