"""The local forge's reviews, kept in the run store; what a pull request shows is asked of git."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.clients.git import Git
from runner.core.hunks import Hunk
from runner.core.model import Phase
from runner.publish.forges import ItemTable, StoredItem
from runner.publish.forges._reviews import NewReview, PullRequestHead, Review, Reviews
from runner.workspace.diff_hunks import diff_hunks

_REVIEW = "review"


@dataclass(frozen=True, slots=True)
class LocalReviews(Reviews):
    path: Path  # the repository
    items: ItemTable
    author: str  # the runner's own
    head: Callable[[int], PullRequestHead]

    def diff(self, number: int) -> Mapping[str, Sequence[Hunk]]:
        git = Git(self.path, phase=Phase.PUBLISH)
        head = self.head(number)
        fork = git.output("merge-base", f"refs/heads/{head.base}", head.sha)
        return diff_hunks(git, fork, head.sha)

    def reviews(self, number: int) -> Sequence[Review]:
        return [self._review(item) for item in self.items.find(_REVIEW, parent=str(number))]

    def submit(self, number: int, new: NewReview) -> Review:
        said = [{**asdict(one), "resolved": False} for one in new.comments]
        data = {"author": self.author, "state": new.verdict, "commit": new.commit, "body": new.body}
        return self._review(self.items.insert(_REVIEW, {**data, "comments": said}, parent=str(number)))

    def supersede(self, number: int, older: Collection[str], why: str) -> None:
        for item in self.items.find(_REVIEW, parent=str(number)):
            if str(item.id) in older and item.data["state"] != "dismissed":
                resolved = [{**one, "resolved": True} for one in item.data["comments"]]
                self.items.update(item.id, {"state": "dismissed", "why": why, "comments": resolved})

    def texts(self, number: int) -> Sequence[str]:
        """Each review as people are shown it."""
        return [_text(item) for item in self.items.find(_REVIEW, parent=str(number))]

    def _review(self, item: StoredItem) -> Review:
        return Review(
            id=str(item.id),
            url=f"local:#{item.parent}-review-{item.id}",
            state=item.data["state"],
            body=item.data["body"],
            is_own=item.data["author"] == self.author,
        )


def _text(item: StoredItem) -> str:
    data = item.data
    lines = [f"review at {data['commit'][:12]}: {data['state'].replace('_', ' ')}", "", data["body"]]
    for one in data["comments"]:
        first = f"{one['start_line']}-" if one["start_line"] else ""
        done = " (resolved)" if one["resolved"] else ""
        lines += ["", f"{one['path']}:{first}{one['line']}{done}", one["body"]]
    return "\n".join(lines)
