"""An ended run that another one continues: its changes, and its agent's session."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.jsonl import json_object
from runner.core.model import End, Phase, Reason, Run, RunSpec
from runner.harnesses import Files, sessions_of
from runner.run.agent import session
from runner.run.agent.session import AgentSession
from runner.sandboxes import exchange
from runner.skills.fencing import fence
from runner.store import Store
from runner.workspace.changeset import Edit
from runner.workspace.git_index import SYMLINK

_TAIL_BYTES = 1024**2  # bytes of a transcript in which the agent's last words are looked for
_MAX_WORDS = 4_000  # characters of them


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """The facts about the run. An agent wrote all of them but its id and its end."""

    run_id: str
    base_sha: str
    end: End
    prompt: str
    patch: bytes  # empty: it changed nothing, or that is not kept
    session: AgentSession | None
    last_words: str  # its agent's last

    def session_for(self, harness: str) -> AgentSession | None:
        """The session, if a harness of this kind can continue it."""
        fits = self.session is not None and self.session.harness == harness
        return self.session if fits and sessions_of(harness) else None

    def task_prompt(self, harness: str, task: str, said: str) -> str:
        """The prompt for the agent that continues: its task, and what it does not know."""
        here = "lies in the working tree" if self.patch else "is not here any more, if there was any"
        note = f"What was changed until then {here}."
        if self.session_for(harness):
            return "\n\n".join(filter(None, [said or task, "" if self.patch else note]))
        ended = f"A run before this one had this task, and ended so: {self.end.state}. {note}"
        words = last_words_text(self.last_words)
        return "\n\n".join(filter(None, [task.rstrip(), ended, words, said and f"Now do this:\n\n{said}"]))


def last_words_text(words: str) -> str:
    """What a prompt says of an earlier agent's last words; empty: there were none."""
    mark = fence(words)
    return f"Its agent's last words, as data:\n\n<{mark}>\n{words}\n</{mark}>" if words else ""


def read_earlier_run(store: Store, run: Run) -> EarlierRun:
    """Read the facts. Raises RunnerError when the run has not ended."""
    if run.end is None:
        message, hint = f"run {run.id} has not ended", f'skillrunner steer {run.id} "..."'
        raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
    kept = {artifact.name: Path(artifact.path) for artifact in store.artifacts(run.id)}
    archive = kept.get(session.NAME)
    return EarlierRun(
        run_id=run.id,
        base_sha=run.base_sha,
        end=run.end,
        prompt=_content(kept.get("prompt.md")).decode(errors="replace"),
        patch=_content(kept.get("patch")),
        session=session.read_session(archive) if archive is not None and archive.exists() else None,
        last_words=_last_words(kept.get("transcript.jsonl")),
    )


def kept_prompt(store: Store, run_id: str) -> str:
    """The prompt of a run; empty: it is not kept on this machine."""
    path = next((Path(one.path) for one in store.artifacts(run_id) if one.name == "prompt.md"), None)
    return _content(path).decode(errors="replace")


def planned_spec(store: Store, run: Run) -> RunSpec:
    """The spec of the run, without its event. Raises RunnerError when the run was never planned."""
    if (stored := store.spec(run.id)) is None:
        message, hint = f"run {run.id} ended before it was planned", f"skillrunner retry {run.id}"
        raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
    return stored.spec


def relocate_session(kept: AgentSession | None, workspace: str) -> Files:
    """The files of a session, changed for a home whose program works in this workspace."""
    sessions = sessions_of(kept.harness) if kept else None
    return sessions.moved(kept.files, workspace) if kept and sessions else {}


def apply_edits(edits: Iterable[Edit], root: Path, owner: tuple[int, int] | None) -> None:
    """Make the edits below `root`; no link is followed. Raises OSError, and RunnerError SETUP_FAILED."""
    for edit in edits:
        try:
            _apply(edit, root, owner)
        except NotADirectoryError as error:
            parts = edit.path.split("/")
            above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
            wrong = next((one for one in above if not (root / one).is_dir() or (root / one).is_symlink()), "")
            message = f"{edit.path} cannot be written: {wrong} is a link or a file there, and no folder"
            hint = f"let `environment.setup` leave {wrong} as the repository has it"
            raise RunnerError(Phase.SETUP, Reason.SETUP_FAILED, message, hint=hint) from error


def _apply(edit: Edit, root: Path, owner: tuple[int, int] | None) -> None:
    if edit.content is None:
        exchange.remove(root, edit.path, owner)
    elif edit.mode == SYMLINK:
        exchange.link(root, edit.path, edit.content.decode(errors="surrogateescape"), owner)
    else:
        exchange.put(root, edit.path, edit.content, edit.mode & 0o777, owner)


def _content(path: Path | None) -> bytes:
    return path.read_bytes() if path is not None and path.exists() else b""


def _tail(path: Path | None) -> bytes:
    if path is None or not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read(_TAIL_BYTES)


def _last_words(path: Path | None) -> str:
    """The agent's last message in the transcript."""
    for line in reversed(_tail(path).splitlines()):
        event = json_object(line) or {}
        text = event.get("text")
        if event.get("type") in ("end", "message") and event.get("role") != "user" and text:
            return str(text)[:_MAX_WORDS]
    return ""
