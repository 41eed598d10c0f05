"""A further turn of the agent in the same run: what it is asked, and what it goes on from."""

from dataclasses import dataclass, field

from runner.core.model import DeclaredOutput, Usage
from runner.run.agent.resume import last_words_text
from runner.run.agent.session import AgentSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the agent is asked in the turn, and what the turns before have left, which an agent wrote."""

    text: str  # what it is asked
    resume: str = ""  # the session that goes on; empty: an agent begins anew, on the tree as it was left
    session: AgentSession | None = None  # its files, where they are not in the sandbox already
    last_words: str = ""
    patch: bytes = field(default=b"", repr=False)  # what lies changed in the tree, where it is laid out anew
    declared: tuple[DeclaredOutput, ...] = ()
    usage: Usage = Usage()  # as the harness reported it
    seconds: float = 0.0  # that the agent has worked

    def prompt(self, task: str) -> str:
        """The prompt. An agent that begins anew is told its task, and what it cannot know."""
        if self.resume:
            return self.text
        before = "An agent before you had this task. What it changed lies in the working tree."
        words = last_words_text(self.last_words)
        return "\n\n".join(filter(None, [task.rstrip(), before, words, f"Now do this:\n\n{self.text}"]))
