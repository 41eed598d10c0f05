"""One pull request for each skill and key, kept up to date. Every step is safe to repeat.

Killed between any two steps and started again, it finds what it left: a pushed branch by its tree, a pull
request by its branch, and what was proposed by the hidden marker in the body.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.core.errors import RunnerError
from runner.core.model import OutputSpec, Phase, Reason, Receipt, Remote, RunSpec
from runner.core.units import Maybe
from runner.publish.outputs import BotIdentity, Offer, Output, _marker
from runner.publish.outputs._body import body
from runner.publish.outputs._marker import Marker
from runner.publish.outputs.escape import one_line

if TYPE_CHECKING:  # what only publishing needs is not loaded to check a skill
    from collections.abc import Sequence

    from runner.publish.forges import Forge, PullRequest
    from runner.workspace.changeset import Changeset, Commit, Conflict

_RUN = "Skillrunner-Run"
_SKILL = "Skillrunner-Skill"
_TITLE = 200
_SLUG = 80  # characters of a key in a branch's name


class PullRequestOptions(Model):
    """A pull request with the changed files."""

    title: Text = Field(description="Template of the title", examples=["docs: update"])
    body: Maybe[Text] = Field(default=None, description="Template of a text that stands before ours")
    key: Maybe[Text] = Field(
        default=None,
        description="Template: runs of equal keys share one pull request; default: what the event is about",
    )
    base: Maybe[Text] = Field(
        default=None, description="The branch that it goes to; default: the default branch"
    )
    labels: Annotated[Many[Text], Field(max_length=100)] = Field(default=(), description="Labels")
    reviewers: Annotated[Many[Text], Field(max_length=30)] = Field(
        default=(), description='Who is asked for a review: "login", or "org/team"'
    )
    draft: bool = Field(default=True, description="Whether it opens as a draft")


class Declaration(Model):
    """What the agent may declare for it."""

    body: Text = Field(description="your words to the reviewer, in Markdown: what you did, and why")


def branch(skill: str, key: str) -> str:
    """The stable branch of a skill and key. A digest tells keys apart that the name alone would not."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", key).replace("..", "-").strip("-.")[:_SLUG]
    slug = slug.rstrip("-.").removesuffix(".lock") or "default"
    if key not in (slug, ""):
        slug += f"-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"skillrunner/{skill}/{slug}"


def key_of(spec: RunSpec, output: OutputSpec) -> str:
    """What tells this pull request from the others of its skill."""
    return str(output.options.get("key") or spec.trigger.subject or "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The target branch, and its present state."""

    remote: Remote
    branch: str
    head: str | None  # of the branch on the remote
    base: str  # the commit that the change is put on
    pulls: "Sequence[PullRequest]"  # of the branch, newest first

    @property
    def open(self) -> "PullRequest | None":
        return next((pull for pull in self.pulls if pull.state == "open"), None)


class PullRequestOutput(Output):
    name = "pull_request"
    options = PullRequestOptions
    declares = Declaration
    files = True
    permissions: ClassVar = {"contents": "write", "pull-requests": "write"}

    def base_branch(self, options: Model) -> str | None:
        return options.base if isinstance(options, PullRequestOptions) else None

    def labels(self, options: Model) -> "Sequence[str]":
        return options.labels if isinstance(options, PullRequestOptions) else ()

    def preview(self, spec: RunSpec, output: OutputSpec) -> "Sequence[tuple[str, str]]":
        name = branch(spec.skill.name, key_of(spec, output))
        return (("branch", name), ("title", str(output.options.get("title"))))

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Push the change and open the pull request, or update the one that is there.

        Raises RunnerError where nothing is published: NO_CHANGES, CONFLICT, HUMAN_COMMIT, CLOSED_BY_HUMAN,
        BRANCH_MOVED, or what git or the forge said.
        """
        try:
            return _publish(offer, forge, changeset)
        except RunnerError as error:
            if error.reason is not Reason.BRANCH_MOVED:
                raise
            offer.say(f"{error.message}; looking at what is there now")
        return _publish(offer, forge, changeset)


PLUGINS = (PullRequestOutput,)


def _publish(offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
    place = _look(offer, forge, changeset)
    tree = _tree(offer, place, changeset)
    _respect_a_closed_one(offer, place)
    _respect_another_key(offer, place)
    _respect_human_commits(offer, place, forge, changeset)
    if place.open is not None and _is_proposed(offer, place):
        _label(offer, place.open, forge)
        action = "adopted" if _is_of_this_run(offer, place, changeset) else "unchanged"
        return _receipt(offer, place, place.open, place.head or "", action)
    offer.stop()
    sha = _push(offer, place, tree, changeset)
    offer.stop()
    pull, action = _open_or_update(offer, place, sha, forge)
    _label(offer, pull, forge)
    if action == "created":
        reviewers = list(offer.output.options.get("reviewers", ()))
        for warning in forge.request_reviewers(pull.number, reviewers):
            offer.say(warning)
    return _receipt(offer, place, pull, sha, action)


def _label(offer: Offer, pull: "PullRequest", forge: "Forge") -> None:
    """The pull request is there: a label that cannot be set, as nobody made it perhaps, fails nothing."""
    labels = _missing_labels(offer, pull)
    try:
        forge.add_labels(pull.number, labels)
    except RunnerError as error:
        if error.reason not in (Reason.FORGE_DENIED, Reason.FORGE_REJECTED, Reason.FORGE_NOT_FOUND):
            raise
        offer.say(
            f"the labels {', '.join(labels)} were not set: {error.message}; make them in the repository"
        )


def _look(offer: Offer, forge: "Forge", changeset: "Changeset") -> _Place:
    remote, name = forge.remote(), branch(offer.spec.skill.name, key_of(offer.spec, offer.output))
    base, head = changeset.remote_heads(remote, offer.spec.base_ref, name)
    if base is None:
        raise RunnerError(
            Phase.PUBLISH,
            Reason.REF_NOT_FOUND,
            f"the base branch {offer.spec.base_ref} is gone from {remote.url}",
            hint="name the branch in `output.pull_request.base`, or run it again if it was renamed",
        )
    unknown = [*([offer.spec.base_ref] if base != offer.spec.base_sha else []), *([name] if head else [])]
    if unknown:  # the pinned commit is borrowed from the mirror
        changeset.fetch(remote, *(f"+refs/heads/{one}:refs/looked/{one}" for one in unknown))
    return _Place(remote=remote, branch=name, head=head, base=base, pulls=forge.pull_requests(name))


def _tree(offer: Offer, place: _Place, changeset: "Changeset") -> str:
    """The tree to publish: the patch on the pinned base, taken over onto the base as it is now."""
    pinned = offer.spec.base_sha
    tree: str | Conflict = changeset.apply(pinned, offer.patch)
    if place.base != pinned:
        tree = changeset.merge(pinned, place.base, str(tree))
    if not isinstance(tree, str):
        paths = ", ".join(tree.paths)
        raise RunnerError(
            Phase.PUBLISH,
            Reason.CONFLICT,
            f"{offer.spec.base_ref} has moved from {pinned[:12]} to {place.base[:12]}; both changed {paths}",
            hint="run it again: it then starts from the new commit",
            retryable=True,
        )
    if tree == changeset.tree_of(place.base):
        message = f"the change is already in {offer.spec.base_ref}"
        raise RunnerError(Phase.PUBLISH, Reason.NO_CHANGES, message)
    return tree


def _respect_a_closed_one(offer: Offer, place: _Place) -> None:
    """Closed unmerged means no to the key, whatever the change looks like the next time."""
    last = place.pulls[0] if place.pulls else None
    if last is not None and last.state == "closed" and not offer.again:
        raise RunnerError(
            Phase.PUBLISH,
            Reason.CLOSED_BY_HUMAN,
            f"{last.url} proposed this and was closed unmerged, so it is not proposed again",
            hint="to have it proposed again, reopen it where the forge can, or add --again to one run",
        )


def _respect_another_key(offer: Offer, place: _Place) -> None:
    """A branch is its key's own: what is open there for another key is not written over."""
    found = _marker.read(place.open.body) if place.open else None
    key = key_of(offer.spec, offer.output)
    if (
        place.open is not None
        and found is not None
        and (found.skill, found.key) != (offer.spec.skill.name, key)
    ):
        raise RunnerError(
            Phase.PUBLISH,
            Reason.CONFLICT,
            f"{place.branch} holds {place.open.url}, of the skill {found.skill} and the key {found.key!r}",
            hint="merge or close it, or choose another `output.pull_request.key`",
        )


def _respect_human_commits(offer: Offer, place: _Place, forge: "Forge", changeset: "Changeset") -> None:
    """A commit by anybody else on the branch means hands off."""
    if place.head is None:
        return
    theirs = [one for one in changeset.commits(place.base, place.head) if not _is_ours(one, offer.bot)]
    if not theirs:
        return
    who = f"{theirs[-1].author_name} ({theirs[-1].sha[:12]})"
    if place.open is not None:
        note = f"Somebody else has committed here, so {offer.bot.name} leaves this branch alone from now on."
        forge.comment_once(place.open.number, note, "<!-- skillrunner: hands-off -->")
    raise RunnerError(
        Phase.PUBLISH,
        Reason.HUMAN_COMMIT,
        f"{place.branch} has a commit by {who}: hands off",
        hint=f"merge or close its pull request, then delete the branch {place.branch} to begin anew",
    )


def _is_ours(commit: "Commit", bot: BotIdentity) -> bool:
    return commit.committer_email == bot.email and f"\n{_RUN}: " in commit.message


def _is_proposed(offer: Offer, place: _Place) -> bool:
    """Whether the open pull request has exactly this change, and so is left as it is."""
    found = _marker.read(place.open.body) if place.open else None
    return (
        found is not None
        and found.head == place.head
        and found.patch == offer.proposal.patch_sha256
        and (place.open is not None and (place.open.draft or offer.verified))
    )


def _is_of_this_run(offer: Offer, place: _Place, changeset: "Changeset") -> bool:
    """Whether an attempt of the same run pushed it, and was killed before it could tell."""
    trailer = f"\n{_RUN}: {offer.run_id}\n"
    return any(trailer in one.message for one in changeset.commits(place.base, place.head or place.base))


def _push(offer: Offer, place: _Place, tree: str, changeset: "Changeset") -> str:
    """The commit that the branch is on afterwards; nothing is pushed that is there already."""
    if place.head is not None and changeset.tree_of(place.head) == tree:
        ours = changeset.commits(place.base, place.head)
        if len(ours) == 1 and ours[0].parents == (place.base,):
            return place.head
    sha = changeset.commit(
        tree, [place.base], _message(offer), offer.bot.name, offer.bot.email, datetime.now(UTC)
    )
    changeset.push(place.remote, sha, place.branch, place.head)
    return sha


def _message(offer: Offer) -> str:
    spec = offer.spec
    version = spec.skill.commit or spec.skill.digest
    trailers = f"{_SKILL}: {spec.skill.name}@{version[:12]}\n{_RUN}: {offer.run_id}"
    return f"{_title(offer)}\n\n{one_line(spec.skill.description, 400)}\n\n{trailers}\n"


def _title(offer: Offer) -> str:
    return one_line(str(offer.output.options["title"]), _TITLE)


def _open_or_update(offer: Offer, place: _Place, sha: str, forge: "Forge") -> "tuple[PullRequest, str]":
    found = Marker(
        skill=offer.spec.skill.name,
        key=key_of(offer.spec, offer.output),
        cause=offer.spec.trigger.key,
        head=sha,
        patch=offer.proposal.patch_sha256,
    )
    text = body(offer, found)
    if place.open is not None:
        forge.update(place.open.number, title=_title(offer), body=text)
        return place.open, "updated"
    draft = bool(offer.output.options.get("draft", True)) or not offer.verified
    from runner.publish.forges import NewPullRequest

    new = NewPullRequest(
        branch=place.branch, base=offer.spec.base_ref, title=_title(offer), body=text, draft=draft
    )
    pull, created = forge.create(new)
    if created:
        return pull, "created"
    forge.update(pull.number, title=_title(offer), body=text)
    return pull, "adopted"


def _missing_labels(offer: Offer, pull: "PullRequest") -> list[str]:
    """Labels are the same in capitals and small letters, as on GitHub."""
    there = {label.casefold() for label in pull.labels}
    return [label for label in offer.output.options.get("labels", ()) if label.casefold() not in there]


def _receipt(offer: Offer, place: _Place, pull: "PullRequest", sha: str, action: str) -> Receipt:
    return Receipt(
        kind=offer.output.kind,
        key=f"{offer.spec.skill.name}/{key_of(offer.spec, offer.output)}",
        action=action,  # type: ignore[arg-type]
        url=pull.url,
        number=pull.number,
        sha=sha,
        branch=place.branch,
    )
