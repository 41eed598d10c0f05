"""Carries out what people with write permission ask for in comments. Each step is safe to repeat."""

import logging
from contextlib import suppress
from datetime import datetime

from runner.apps.worker.repository import RepositorySnapshot
from runner.core.errors import RunnerError
from runner.core.model import Answer, Phase, Reason
from runner.core.model.decision import Event
from runner.publish.forges import Forge
from runner.run.retry import queue_again
from runner.scheduler.comment_commands import MAY_COMMAND, CommentCommand, Reaction, find_command
from runner.store import Store
from runner.store.approvals import ApprovalStore
from runner.store.inbox import Inbox
from runner.store.queue import RunQueue

log = logging.getLogger("skillrunner.worker")


def obey(store: Store, repository: RepositorySnapshot, event: Event, own_login: str, now: datetime) -> None:
    """Carry out the command of a comment, if it has one; a reaction says what became of it.

    A stranger gets no answer at all. Raises RunnerError of the forge that passes: then it is tried again.
    """
    command = find_command(event, own_login)
    if command is None or not repository.hears_commands(command.verb):
        return
    forge = repository.forge.without_waiting()
    if _permission(forge, command.login) not in MAY_COMMAND:
        log.info("%s: %s may not ask for %s", repository.name, command.login, command.verb)
        return
    try:
        told = _carry_out(store, repository, command, now)
        reaction: Reaction = "+1"
    except RunnerError as error:
        if error.retryable:
            raise
        told, reaction = error.message, "-1"
    log.info("%s: /%s of %s: %s", repository.name, command.verb, command.login, told)
    with suppress(RunnerError):  # what was asked for is done, and the log says so
        forge.react(command.comment, reaction)


def _permission(forge: Forge, login: str) -> str:
    """What a person may do; "none" where the forge does not say. Raises RunnerError of what passes."""
    try:
        return forge.permission(login)
    except RunnerError as error:
        if error.retryable:
            raise
        log.error("%s: the permission of %s is not known: %s", forge.repository, login, error.message)
        return "none"


def _carry_out(store: Store, repository: RepositorySnapshot, command: CommentCommand, now: datetime) -> str:
    if command.verb in ("approve", "refuse"):
        return _answer(store, repository, command, now)
    if command.verb == "run":
        return _start(store, repository, command, now)
    found = store.run(command.name)
    if found.repository != repository.name or found.id != command.name:
        raise _unknown(f"there is no run {command.name} of {repository.name}")
    if command.verb == "retry":
        if found.end is None:
            raise _unknown(f"run {found.id} has not ended")
        return f"queued: {queue_again(store, found, f'comment-{command.comment}', command.login)}"
    if found.end is not None:
        raise _unknown(f"run {found.id} has ended")
    RunQueue(store).request_stop(found.id, f"{command.login} stopped it: {command.url}", now)
    return f"stopping: {found.id}"


def _answer(store: Store, repository: RepositorySnapshot, command: CommentCommand, now: datetime) -> str:
    found = ApprovalStore(store).find(repository.name, command.name)
    if len(found) != 1:
        raise _unknown(f"no proposal of {repository.name} has the digest {command.name}")
    answer = Answer(
        digest=command.name,
        approves=command.verb == "approve",
        who=command.login,
        via=command.url or f"comment {command.comment}",
        reason=command.text,
    )
    answered = ApprovalStore(store).answer(found[0].approval.run_id, answer, now)
    return f"{answered.approval.verdict}: {answered.approval.run_id}"


def _start(store: Store, repository: RepositorySnapshot, command: CommentCommand, now: datetime) -> str:
    if command.name not in repository.skills:
        raise _unknown(f"{repository.name} has no valid skill {command.name}")
    event = Event(
        kind="manual",
        key=f"manual:comment:{command.comment}",
        at=now,
        payload={"sender": {"login": command.login, "type": "User"}},
        only=command.name,
        inputs=command.values,
    )
    Inbox(store).put(repository.name, [event], "poll")
    return f"asked for: {command.name}"


def _unknown(message: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="look at it: skillrunner list --all")
