"""A forge of a third party: pull requests are JSON files in a folder beside a bare repository."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from runner.clients.git import Git
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Remote
from runner.publish.forges import Forge, ForgeContext, ForgeKind, NewPullRequest, PullRequest

_TOKEN = "JSON_FILES_TOKEN"  # the name of the variable


class JsonFilesKind(ForgeKind):
    name = "json_files"

    def token_variable(self, config: Config) -> str:
        return _TOKEN

    def serves(self, origin: str, config: Config) -> bool:
        return bool(origin) and _folder(Path(origin)).is_dir()

    def locate(self, name: str, config: Config) -> str | None:
        path = Path(name).expanduser()
        return str(path) if path.is_absolute() and self.serves(str(path), config) else None

    def open(self, context: ForgeContext) -> Forge:
        path = Path(context.origin)
        if not path.is_absolute() or not (path / "HEAD").exists():
            message = f"the remote `origin` is no bare repository of this machine: {context.origin}"
            hint = "git remote set-url origin /path/to/repository.git"
            raise RunnerError(Phase.PLAN, Reason.FORGE_NOT_FOUND, message, hint=hint)
        return JsonFiles(path, context.token())


@dataclass(frozen=True, slots=True)
class JsonFiles(Forge):
    name = "json_files"

    path: Path
    token: str

    @property
    def repository(self) -> str:
        return f"files/{self.path.name.removesuffix('.git')}"

    def remote(self) -> Remote:
        return Remote(url=str(self.path))

    def default_branch(self) -> str:
        return Git(self.path, phase=Phase.PLAN).output("symbolic-ref", "--short", "HEAD")

    def check_credential(self) -> None:
        if not self.token:
            message = f"pull requests go to JSON files, and {_TOKEN} is not set"
            raise RunnerError(Phase.PLAN, Reason.FORGE_DENIED, message, hint=f"export {_TOKEN}=...")

    def pull_requests(self, branch: str) -> Sequence[PullRequest]:
        files = _folder(self.path).glob("*.json")
        found = [_read(file) for file in sorted(files, key=lambda file: int(file.stem), reverse=True)]
        return [pull for pull in found if pull.branch == branch]

    def create(self, new: NewPullRequest) -> tuple[PullRequest, bool]:
        while True:
            for pull in self.pull_requests(new.branch):
                if pull.state == "open":
                    return pull, False
            folder = _folder(self.path)
            folder.mkdir(exist_ok=True)
            number = 1 + max((int(file.stem) for file in folder.glob("*.json")), default=0)
            url = f"{self.path.as_uri()}#{number}"
            made = PullRequest(number=number, url=url, state="open", **asdict(new))
            try:
                os.link(_written(folder, made), folder / f"{number}.json")
            except FileExistsError:  # somebody else took the number
                continue
            return made, True

    def update(self, number: int, *, title: str, body: str) -> None:
        self._change(replace(self._get(number), title=title, body=body))

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        pull = self._get(number)
        self._change(replace(pull, labels=tuple(dict.fromkeys((*pull.labels, *labels)))))

    def comment_once(
        self, number: int, body: str, marker: str, counts: Callable[[str], bool] = lambda _: True
    ) -> None:
        del counts
        file = _folder(self.path) / f"{number}.comments"
        known = file.read_text() if file.exists() else ""
        if marker not in known:
            file.write_text(f"{known}{body}\n\n{marker}\n")

    def _get(self, number: int) -> PullRequest:
        return _read(_folder(self.path) / f"{number}.json")

    def _change(self, pull: PullRequest) -> None:
        folder = _folder(self.path)
        _written(folder, pull).replace(folder / f"{pull.number}.json")


def _folder(path: Path) -> Path:
    """`pulls` beside the repository: /srv/app.git and /srv/app.pulls."""
    return path.with_suffix(".pulls")


def _read(file: Path) -> PullRequest:
    fields = json.loads(file.read_text())
    return PullRequest(**{**fields, "labels": tuple(fields["labels"])})


def _written(folder: Path, pull: PullRequest) -> Path:
    whole = folder / f"{pull.number}.{os.urandom(4).hex()}"
    whole.write_text(json.dumps(asdict(pull)))
    return whole


PLUGINS = (JsonFilesKind,)
