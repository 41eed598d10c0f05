"""What is said to Claude Code with `--input-format stream-json`: one turn of the agent for each user line.

Source: Claude Code docs, "Streaming input", and Claude Agent SDK, `interrupt`: a control request.
"""

from runner.harnesses import Task
from runner.harnesses._turns import Turns


class UserLines(Turns):
    """Turns that begin with a user line, and are cut short by an interruption."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupting = False  # the present turn was asked to end, and has not ended

    def begin(self, task: Task) -> None:
        self._prompts = [task.prompt]
        self.next_turn()

    def interrupt(self) -> None:
        self._stopping = True
        self._cancel()

    def next_turn(self) -> None:
        """Begin the next turn, or end it all where there is nothing more to say."""
        self.interrupting = False
        if content := self._next():
            self._send({"type": "user", "message": {"role": "user", "content": content}})

    def _cancel(self) -> None:
        if not self.interrupting and not self.over:
            self.interrupting = True
            asked = {"subtype": "interrupt"}
            self._send({"type": "control_request", "request_id": "interrupt", "request": asked})
