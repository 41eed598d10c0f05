"""Any program: the prompt on standard input, what it prints as its messages; with `api` it has a model."""

from collections import deque
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from runner.config.documents import Many, Model, Text
from runner.core.model import Exit, Message, Outcome, Reason, Stream, TranscriptEvent
from runner.core.units import Maybe
from runner.harnesses import OURS, Harness, Launch, Reader, Task
from runner.harnesses._fields import beginning
from runner.harnesses.model_apis import MODELS, model_variables
from runner.harnesses.outcome import Tally, outcome_of_exit, outcome_of_stop

_MAX_LINES = 100  # that are its answer, where it changes nothing


class CommandOptions(Model):
    """Any program, run in the workspace.

    The prompt is on its standard input and in the file that SKILLRUNNER_PROMPT names. It declares outputs as
    JSON lines in the file that SKILLRUNNER_OUTPUTS names. Where the skill has `tools`, SKILLRUNNER_MCP holds
    their address.
    """

    command: Annotated[Many[Text], Field(min_length=1)] = Field(
        description="The program and its arguments", examples=[["python3", "scripts/update.py"]]
    )
    api: Maybe[Literal["anthropic", "openai", "gemini"]] = Field(
        default=None,
        description="How it speaks to a model, which the gateway then offers by the usual variables, such as"
        " OPENAI_BASE_URL and OPENAI_API_KEY; default: it has no model",
    )


class Command(Harness):
    name = "command"
    options = CommandOptions
    models = MODELS
    mcp = "ours"

    def launch(self, task: Task) -> Launch:
        """The skill's own command line, as it stands: no shell reads it."""
        ours = next((server.url for server in task.mcp if server.name == OURS), "")
        variables = {"SKILLRUNNER_MCP": ours} if ours else {}
        if task.model_url and (api := task.spec.options.get("api")):
            variables |= model_variables(api, task.model_url, task.model_token, task.spec.model)
        return Launch(
            argv=tuple(task.spec.options["command"]),
            stdin=task.prompt.encode(),
            variables=variables,
        )

    def reader(self) -> Reader:
        return CommandReader()


class CommandReader(Reader):
    """Every line is a message: the program's on standard output, complaints on standard error."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._printed: deque[str] = deque(maxlen=_MAX_LINES)  # the end of standard output

    def read(self, stream: Stream, line: bytes) -> Iterable[TranscriptEvent]:
        if not line.strip():
            return []
        told = Message(role="assistant" if stream == "stdout" else "system", text=beginning(line))
        if stream == "stdout":
            self._printed.append(told.text)
        return self._tally.count([told])

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        stopped = outcome_of_stop("the command", ended)
        if stopped is not None:
            return stopped
        if ended.code != 0:
            return outcome_of_exit("the command", ended.code, "\n".join(self._tally.complaints))
        said = "\n".join(self._printed)
        if changed:
            return Outcome(ok=True, printed=said)
        message = "the command changed no file and declared no output"
        return Outcome(ok=False, reason=Reason.NO_CHANGES, message=message, summary=said)


PLUGINS = (Command,)
