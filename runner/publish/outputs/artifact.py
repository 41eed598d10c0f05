"""A file that is kept with the run: a chart, a log, a list. It stands in no patch."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.config.documents import Many, Text
from runner.core import globs
from runner.core.errors import RunnerError
from runner.core.model import DeclaredOutput, OutputSpec, Phase, Reason, Receipt, RunSpec
from runner.core.units import Maybe
from runner.publish.outputs import Offer, Output, _item
from runner.publish.outputs._artifacts import collected_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge
    from runner.workspace.changeset import Changeset

_PATH = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}){0,7}$"


class ArtifactOptions(_item.ItemOptions):
    """A file that is kept with the run."""

    allowed_paths: Annotated[Many[Text], Field(max_length=100)] = Field(
        default=("**",), description="Globs that its path must match, below the folder of artifacts"
    )


class ArtifactDeclaration(_item.ItemDeclaration):
    """A file that is kept."""

    path: Annotated[str, Field(pattern=_PATH, examples=["chart.png"])] = Field(
        description="the file, below the folder that SKILLRUNNER_ARTIFACTS names", examples=["chart.png"]
    )
    title: Maybe[Text] = Field(default=None, description="what it is, in a few words")


class ArtifactOutput(Output):
    name = "artifact"
    options = ArtifactOptions
    declares = ArtifactDeclaration
    each = True

    def check(self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec) -> "Sequence[str]":
        path, allowed = str(item.fields["path"]), output.options["allowed_paths"]
        if globs.matches(path, allowed):
            return ()
        return [f"names the file {path}, and the skill allows {', '.join(allowed)}"]

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Keep the file under its own name. Raises RunnerError INCOMPLETE where the agent left none."""
        path = str(offer.item.fields["path"]) if offer.item else ""
        content = offer.load(collected_name(path))
        if content is None:
            message = f"the agent left no file {path} in SKILLRUNNER_ARTIFACTS, or one that is too large"
            raise RunnerError(Phase.PUBLISH, Reason.INCOMPLETE, message)
        name = f"files-{path.replace('/', '-')}"
        key = _item.item_key(offer, f"{offer.spec.trigger.key}:{path}")
        return _item.keep(offer, key, name, content, "application/octet-stream")


PLUGINS = (ArtifactOutput,)
