"""The shared ledger: the decisions of one repository, stored in a git ref of that repository.

Actions and workers write to it with one conditional push each, which fails when somebody else pushed first;
so each slot or event is decided once, whoever receives it. The ref is no branch: it starts no workflow and
is in no list of branches. It holds one commit without parents.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from runner.clients.git import blobs, entries
from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, Remote
from runner.core.model.decision import Cause, Decision, History, Verdict, actor_name
from runner.core.payload import parse_json
from runner.core.retrying import chance, delay
from runner.workspace.mirror import Mirror

REF = "refs/skillrunner/state"
DAYS = 92
"""For how many days decisions are stored; the last decided slot of each schedule is stored for ever."""

_TIMEOUT = 300.0  # seconds to try while others push first
_IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "skillrunner[bot]"), ("EMAIL", "skillrunner[bot]@users.noreply.github.com"))
}
_SCHEDULES = "schedules.json"
_LOST_RACE = (
    "stale info",
    "cannot lock ref",
    "failed to update ref",
    "already exists",
    "incorrect old value",
)


class ReadOnlyTokenError(RunnerError):
    """The forge lets this token read, and write nothing at all."""


DecideFunction = Callable[[History], Sequence[Decision]]


@dataclass(slots=True)
class Ledger:
    """The decisions of the repository that `mirror` mirrors."""

    mirror: Mirror
    remote: Remote
    sleep: Callable[[float], None] = time.sleep
    read_only: bool = False  # decide, and record nothing
    _commit: str = ""
    _shas: dict[str, str] = field(default_factory=dict)  # by path
    _files: dict[str, bytes] = field(default_factory=dict)  # by path

    def history(self, now: datetime) -> History:
        """The decisions that the ledger holds now."""
        self._read()
        return _history(self._files, now)

    def decide(self, decide: DecideFunction, now: datetime) -> list[Decision]:
        """Call `decide` with the history and store its decisions, in one atomic step.

        When somebody else pushed first, `decide` is called again with the new history. A decision on
        something decided before is returned but not stored: the first one stands. Raises RunnerError.
        """
        settled: list[Decision] = []

        def change(files: Mapping[str, bytes]) -> dict[str, bytes]:
            known = _history(files, now)
            settled[:] = decide(known)
            fresh = [one for one in settled if one.name not in known.decisions]
            return _with_lines(files, [_decision_line(one) for one in fresh], now)

        self._change(change)
        return settled

    def add_end(self, decision: Decision, end: End, url: str, now: datetime) -> None:
        """Store the end of a run; `url` is of what it published, or empty."""
        line = {"run": decision.run_id, "state": end.state, "reason": end.reason or "", "url": url}
        self._change(lambda files: _with_lines(files, [line | {"at": now.isoformat()}], now))

    def amend(self, decision: Decision, now: datetime) -> None:
        """Replace a decision to start when no run could be started."""
        self._change(lambda files: _with_lines(files, [_decision_line(decision)], now))

    def _change(self, change: Callable[[Mapping[str, bytes]], dict[str, bytes]]) -> None:
        until = time.monotonic() + _TIMEOUT
        for attempt in range(1, 1_000_000):
            self._read()
            files = change(self._files)
            if self.read_only or files == self._files or self._push(files):
                return
            if time.monotonic() > until:
                break
            self.sleep(delay(attempt, 0.1, 1, chance(0)))
        message = f"{REF} of {self.remote.url} could not be written: others were quicker each time"
        raise RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint="run it again", retryable=True)

    # --- git ------------------------------------------------------------------------------------

    def _read(self) -> None:
        git, remote = self.mirror.git, self.remote
        listed = git.output("ls-remote", "--", remote.url, REF, variables=remote.variables).split()
        commit = listed[0] if listed else ""
        if commit == self._commit:
            return
        commit = self.mirror.fetch_ref(remote, REF) if commit else ""
        found = {path: entry.sha for path, entry in entries(git, commit).items()} if commit else {}
        contents = dict(blobs(git, set(found.values()))) if found else {}
        self._commit, self._shas = commit, found
        self._files = {path: contents[sha] for path, sha in found.items()}

    def _push(self, files: Mapping[str, bytes]) -> bool:
        """Push a commit of `files` to the ref if the ref has not moved since it was read; return whether."""
        git, remote = self.mirror.git, self.remote
        shas = {path: self._sha(path, content) for path, content in files.items()}
        listing = "".join(f"100644 blob {sha}\t{path}\n" for path, sha in sorted(shas.items()))
        tree = git.output("mktree", stdin=listing.encode())
        commit = git.output("commit-tree", tree, "-m", "Decisions of skillrunner", variables=_IDENTITY)
        lease = f"--force-with-lease={REF}:{self._commit}"
        args = ("push", "--porcelain", "--no-verify", lease, "--", remote.url, f"{commit}:{REF}")
        try:
            done = git.run(*args, ok=(0, 1), variables=remote.variables)
        except RunnerError as error:
            if error.reason is not Reason.FORGE_DENIED:
                raise
            denied = _push_error(remote, error.message)
            raise ReadOnlyTokenError(denied.phase, denied.reason, denied.message, hint=denied.hint) from error
        said = f"{done.stdout.decode(errors='replace')}\n{done.stderr}"
        if done.code == 0:
            self._commit, self._shas, self._files = commit, shas, dict(files)
        elif not any(words in said for words in _LOST_RACE):
            raise _push_error(remote, said)
        return done.code == 0

    def _sha(self, path: str, content: bytes) -> str:
        if self._files.get(path) == content:
            return self._shas[path]
        return self.mirror.git.output("hash-object", "-w", "--stdin", stdin=content)


def _push_error(remote: Remote, said: str) -> RunnerError:
    message = f"{REF} of {remote.url} could not be pushed: {' '.join(said.split())[:500]}"
    hint = "the token needs `contents: write`; decisions are kept in this ref"
    return RunnerError(Phase.STORE, Reason.FORGE_DENIED, message, hint=hint)


# --- files: one of JSON lines for each day, and how far each schedule was decided -------------------


def _with_lines(
    files: Mapping[str, bytes], lines: Sequence[Mapping[str, Any]], now: datetime
) -> dict[str, bytes]:
    if not lines:
        return dict(files)
    text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
    name = f"{now:%Y-%m-%d}.jsonl"
    days = sorted({*files, name} - {_SCHEDULES})[-DAYS:]
    kept = {path: files.get(path, b"") + (text.encode() if path == name else b"") for path in days}
    since = _schedules(files)
    for line in lines:
        if "due" in line:
            at = f"{line['skill']} {_schedule(line['key'])}"
            since[at] = max(line["due"], since.get(at, line["due"]))
    return kept | {_SCHEDULES: json.dumps(since, sort_keys=True, indent=0).encode()}


def _schedules(files: Mapping[str, bytes]) -> dict[str, str]:
    found: dict[str, str] = _parse(_SCHEDULES, files.get(_SCHEDULES, b"{}"))
    return found


def _decision_line(decision: Decision) -> dict[str, Any]:
    said = asdict(decision) | {"inputs": None}  # the run keeps them: they may be long
    said = {key: value for key, value in said.items() if value not in (None, "")}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in said.items()}


def _history(files: Mapping[str, bytes], now: datetime) -> History:
    decided: dict[str, Decision] = {}
    ended: set[str] = set()
    for line in _lines(files):
        if "run" in line:
            ended.add(line["run"])
        else:
            decision = _decision(line)
            decided[decision.name] = decision
    active = {
        one.subject_name: one
        for one in decided.values()
        if one.verdict is Verdict.STARTED and one.run_id not in ended and _is_current(one, now)
    }
    since = {name: datetime.fromisoformat(at) for name, at in _schedules(files).items()}
    starts: dict[str, datetime] = {}
    actors: dict[str, list[datetime]] = {}
    for one in decided.values():
        if one.verdict is Verdict.STARTED:
            starts[one.skill] = max(one.at, starts.get(one.skill, one.at))
        if one.verdict is Verdict.STARTED and one.actor:
            actors.setdefault(actor_name(one.skill, one.actor), []).append(one.at)
    return History(
        decisions=decided,
        active=active,
        decided_until=since,
        last_starts=starts,
        actor_starts={name: sorted(times, reverse=True) for name, times in actors.items()},
    )


def _lines(files: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    for path, content in sorted(files.items()):
        if path != _SCHEDULES:
            yield from (_parse(path, line) for line in content.splitlines())


def _parse(path: str, text: bytes) -> Any:
    """The JSON of a file of the ledger. Anybody who may push to the repository may have broken it."""
    try:
        return parse_json(text)
    except ValueError as error:
        message = f"{path} in {REF} is damaged: {error}"
        hint = f"repair it, or begin anew, forgetting what was decided: git push origin :{REF}"
        raise RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint) from error


def _is_current(decision: Decision, now: datetime) -> bool:
    return decision.expires is None or decision.expires > now


def _schedule(key: str) -> str:
    """The schedule line in a slot's key, "schedule:<line>:<instant>"."""
    return key.removeprefix("schedule:").split(":", 1)[0]


def _decision(line: Mapping[str, Any]) -> Decision:
    times = {
        name: datetime.fromisoformat(line[name]).astimezone(UTC)
        for name in ("at", "due", "expires")
        if name in line
    }
    known = Decision(
        key=line["key"],
        skill=line["skill"],
        trigger=line["trigger"],
        verdict=Verdict(line["verdict"]),
        cause=Cause(line["cause"]) if "cause" in line else None,
        message=line["message"],
        at=times["at"],
        run_id=line.get("run_id", ""),
        continues=line.get("continues", ""),
        host=line.get("host", ""),
        subject_key=line.get("subject_key", ""),  # the first programs knew none
        actor=line.get("actor", ""),  # nor this
    )
    return replace(known, due=times.get("due"), expires=times.get("expires"))
