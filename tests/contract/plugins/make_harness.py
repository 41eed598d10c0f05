"""GNU make as a harness: a target of the repository's Makefile does the work."""

from collections.abc import Iterator

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.model import Exit, Message, Outcome, Reason, Stream, TranscriptEvent
from runner.harnesses import Harness, Launch, Reader, Task
from runner.harnesses.outcome import outcome_of_exit, outcome_of_stop


class MakeOptions(Model):
    """GNU make: a target of the repository's Makefile. The prompt is on its standard input."""

    target: Text = Field(default="all", description="The target that does the work")


class MakeReader(Reader):
    """Every line is a message."""

    def __init__(self) -> None:
        self._last = ""

    def read(self, stream: Stream, line: bytes) -> Iterator[TranscriptEvent]:
        if words := line.decode(errors="replace").strip():
            self._last = words
            yield Message(role="assistant" if stream == "stdout" else "system", text=words)

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        if (stopped := outcome_of_stop("make", ended)) is not None:
            return stopped
        if ended.code != 0:
            return outcome_of_exit("make", ended.code, self._last)
        if not changed:
            return Outcome(ok=False, reason=Reason.NO_CHANGES, message="make changed no file")
        return Outcome(ok=True, summary=self._last)


class Make(Harness):
    name = "gnu-make"
    options = MakeOptions
    program = "make"

    def launch(self, task: Task) -> Launch:
        argv = (task.program or self.program, task.spec.options["target"])
        return Launch(argv=argv, stdin=task.prompt.encode())

    def reader(self) -> Reader:
        return MakeReader()


PLUGINS = (Make,)
