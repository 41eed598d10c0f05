"""A review of a pull request: words on it and on its lines, and a verdict that the skill allows."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.core.model import DeclaredOutput, OutputSpec, Receipt, RunSpec
from runner.core.units import Maybe
from runner.publish.outputs import Offer, Output, _item, _review_lines
from runner.publish.outputs._review_lines import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge
    from runner.publish.forges._reviews import LineComment, NewReview, PullRequestHead, Review, Verdict
    from runner.workspace.changeset import Changeset

_COMMENT = 60_000  # characters of one comment, of the 65,536 that GitHub takes
_SHOWN = 20  # of what is left out, in the body


class ReviewOptions(_item.TargetOptions):
    """A review of a pull request."""

    verdicts: Annotated[Many[Literal["comment", "approve", "request_changes"]], Field(min_length=1)] = Field(
        default=("comment",), description="Which verdicts the agent may give"
    )
    max_comments: Annotated[int, Field(ge=0, le=100)] = Field(
        default=30, description="How many comments on lines a review may have"
    )
    supersede: bool = Field(
        default=True,
        description="Dismiss or hide the skill's earlier reviews there, and resolve the threads they began",
    )


class LineCommentDeclaration(Model):
    """What is said of a line."""

    path: Text = Field(description="the file, as the diff names it")
    line: Annotated[int, Field(ge=1)] = Field(description="the line, or the last of several")
    body: Text = Field(description="what is said of it, in Markdown")
    start_line: Maybe[Annotated[int, Field(ge=1)]] = Field(
        default=None, description="the first of several lines"
    )
    side: Literal["LEFT", "RIGHT"] = Field(
        default="RIGHT", description="`LEFT`: a line as it was before the pull request"
    )


class ReviewDeclaration(_item.TargetDeclaration):
    """A review."""

    body: Text = Field(description="what you say of the whole, in Markdown")
    verdict: Literal["comment", "approve", "request_changes"] = Field(
        default="comment", description="comment, approve or request_changes, as far as the skill allows them"
    )
    comments: Many[LineCommentDeclaration] = Field(
        default=(),
        description=(
            "of lines that the diff shows: `path`, `line`, `body`, for several lines `start_line`, and"
            " `side`: `LEFT` for lines that are deleted"
        ),
    )


class ReviewOutput(Output):
    name = "review"
    options = ReviewOptions
    declares = ReviewDeclaration
    each = True
    permissions: ClassVar = {"pull-requests": "write"}

    def check(self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec) -> "Sequence[str]":
        said = ReviewDeclaration.model_validate(dict(item.fields))
        wrong = _item.target_faults(item, spec, output)
        allowed, most = output.options["verdicts"], output.options["max_comments"]
        if said.verdict not in allowed:
            wrong.append(f"has the verdict {said.verdict!r}, and the skill allows {', '.join(allowed)}")
        if len(said.comments) > most:
            wrong.append(f"has {len(said.comments)} comments, and the skill allows {most} (`max_comments`)")
        return wrong

    def check_there(
        self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec, forge: "Forge"
    ) -> "Sequence[str]":
        """Comments on lines that the diff does not show, while it is the one that the agent looked at."""
        number = item.fields.get("number", _item.subject_number(spec))
        said = ReviewDeclaration.model_validate(dict(item.fields))
        if not isinstance(number, int) or not said.comments:
            return ()
        head = forge.pull_request_head(number)
        if _review_lines.event_commit(spec, number) not in ("", head.sha):
            return ()  # it has moved: the lines are looked for when it is published
        diff = forge.reviews().diff(number)
        return [fault for one in _comments(said) if (fault := _review_lines.fault(one, diff))]

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Submit the review, or find that it is there; its older ones count no more after that."""
        number = _item.find_thread(offer, forge).number
        head, reviews = forge.pull_request_head(number), forge.reviews()
        key = f"{_item.item_key(offer)}@{number}"

        def find() -> "Review | None":
            return next((one for one in reviews.reviews(number) if _is_it(one, key)), None)

        there = find()
        new = None if there else _new_review(offer, forge, changeset, head, key)
        offer.stop()
        review, created = (
            _item.create_once(find, lambda: reviews.submit(number, new)) if new else (there, False)
        )
        assert review is not None
        if offer.output.options.get("supersede", True):
            _supersede(offer, forge, number, review)
        return _item.receipt(offer, key, "created" if created else "unchanged", review.url, number)


PLUGINS = (ReviewOutput,)


def _fields(offer: Offer) -> ReviewDeclaration:
    return ReviewDeclaration.model_validate(dict(offer.item.fields if offer.item else {}))


def _comments(said: ReviewDeclaration) -> "list[LineComment]":
    from runner.publish.forges._reviews import LineComment

    return [LineComment(**one.model_dump()) for one in said.comments]


def _is_it(review: "Review", key: str) -> bool:
    return review.is_own and _item.is_marked(review.body, "review", key)


def _new_review(
    offer: Offer, forge: "Forge", changeset: "Changeset", head: "PullRequestHead", key: str
) -> "NewReview":
    """The review as the pull request takes it now; what does not fit any more is left out and told."""
    from runner.publish.forges._reviews import NewReview

    said, remote = _fields(offer), forge.remote()
    seen = _review_lines.agent_commit(offer.spec, head, changeset, remote)
    since = _review_lines.changes(changeset, remote, seen, head.sha) if seen not in ("", head.sha) else {}
    comments = _comments(said)
    diff = forge.reviews().diff(head.number) if comments else {}
    placement = _review_lines.place(comments, diff, since, seen not in ("", head.sha))
    for one, why in placement.left_out:
        offer.warn(f"a comment on {one.path}:{one.line} was left out: {why}")
    body = f"{said.body}{_left_out(placement)}"
    return NewReview(
        commit=head.sha,
        verdict=_verdict(offer, said.verdict, head, seen),
        body=_item.signed(offer, body, "review", key),
        comments=[_published(offer, one) for one in placement.comments],
    )


def _published(offer: Offer, comment: "LineComment") -> "LineComment":
    return replace(comment, body=_item.words(offer, comment.body, _COMMENT))


def _verdict(offer: Offer, wanted: "Verdict", head: "PullRequestHead", seen: str) -> "Verdict":
    """What the skill allows and the forge takes; an approval is of the commit that was looked at alone."""
    why = ""
    if wanted not in offer.output.options.get("verdicts", ("comment",)):
        why = "the skill does not allow it"
    elif wanted != "comment" and head.is_own:
        why = "nobody can judge their own pull request"
    elif wanted == "approve" and seen != head.sha:
        was = f"the run looked at {seen[:12]}" if seen else "the run stood on no commit of it"
        why = f"{was}, and the pull request is at {head.sha[:12]}"
    if not why:
        return wanted
    offer.warn(f"the review of #{head.number} says no `{wanted}`, as {why}")
    return "comment"


def _left_out(placement: Placement) -> str:
    """What the body says of comments that have no place any more."""
    if not placement.left_out:
        return ""
    shown = [f"- `{one.path.replace('`', '?')}`, line {one.line}" for one, _ in placement.left_out[:_SHOWN]]
    more = len(placement.left_out) - len(shown)
    rest = [f"- and {more} more"] if more > 0 else []
    return "\n\nLeft out, as the diff does not show these lines now:\n\n" + "\n".join((*shown, *rest))


def _supersede(offer: Offer, forge: "Forge", number: int, newest: "Review") -> None:
    """Let the skill's earlier reviews count no more; what does not go is told and fails nothing."""
    skill, reviews = offer.spec.skill.name, forge.reviews()
    older: set[Any] = set()
    for one in reviews.reviews(number):
        if one.id == newest.id:
            break
        if one.is_own and one.state != "dismissed" and _item.is_of_skill(one.body, "review", skill):
            older.add(one.id)
    if older:
        why = f"A newer review takes its place: {newest.url}"
        _item.attempt(offer, lambda: reviews.supersede(number, older, why))
