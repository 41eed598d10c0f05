"""An output of a third party: what an agent reports is appended to a Markdown file, once for each cause."""

from pathlib import Path

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.errors import RunnerError
from runner.core.model import OutputSpec, Phase, Reason, Receipt, RunSpec
from runner.publish.forges import Forge
from runner.publish.outputs import Offer, Output
from runner.publish.outputs.escape import neutralise
from runner.workspace.changeset import Changeset


class FileReportOptions(Model):
    """A file of reports, one for each skill."""

    folder: Text = Field(description="Where the file is, on the machine that runs", examples=["~/reports"])


class FileReportDeclaration(Model):
    """What the agent declares for it."""

    text: Text = Field(description="your report, in Markdown")


class FileReport(Output):
    name = "file_report"
    options = FileReportOptions
    declares = FileReportDeclaration

    def preview(self, spec: RunSpec, output: OutputSpec) -> list[tuple[str, str]]:
        return [("report", str(_file(spec, output)))]

    def publish(self, offer: Offer, forge: Forge, changeset: Changeset) -> Receipt:
        """The mark of a cause stands in the file together with its report, in one write."""
        texts = [str(one.fields.get("text") or "") for one in offer.declared]
        if not any(texts):
            raise RunnerError(Phase.PUBLISH, Reason.NO_CHANGES, "the agent reported nothing")
        file, key = _file(offer.spec, offer.output), offer.spec.trigger.key
        mark = f"<!-- {key.encode('unicode_escape').decode().replace('>', '')} -->"
        known = file.read_text() if file.exists() else "# Reports\n"
        if mark in known:
            return Receipt(kind=self.name, key=key, action="unchanged", url=file.as_uri())
        links = "".join(f"See {one.url}\n\n" for one in offer.receipts)
        body = "\n\n".join(neutralise(text, 10_000) for text in texts if text)
        offer.stop()
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = file.with_suffix(f".{offer.run_id}")
        whole.write_text(f"{known}\n{mark}\n\n{body}\n\n{links}")
        whole.replace(file)
        return Receipt(kind=self.name, key=key, action="created", url=file.as_uri())


def _file(spec: RunSpec, output: OutputSpec) -> Path:
    return Path(str(output.options["folder"])).expanduser().resolve() / f"{spec.skill.name}.md"


PLUGINS = (FileReport,)
