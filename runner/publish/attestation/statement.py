"""The statement of one run, after the in-toto Attestation Framework v1, with a predicate of our own.

The commit's message names the digest of `work`, which is all that is known before the commit; the statement
names the commit. So each of the two leads to the other, and neither has to hold its own digest.
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field

from runner.config.documents import Many, Model

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:skillrunner:attestation:run:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
TRAILER = "Skillrunner-Attestation"
"""The trailer of a commit with the digest of the work that it came from: "sha256:…"."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Dollars = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]
"""An amount in US dollars: a text, for which no two programs have two ways to write it."""


class RunCause(Model):
    """What started the run."""

    kind: str = Field(description="The trigger", examples=["release"])
    key: str = Field(description="What deduplicates causes")
    subject: str = Field(default="", description="What the event is about, as people name it")
    actor: str | None = Field(default=None, description="Who caused the event; null: nobody is named")


class RunIdentity(Model):
    """The run, and the repository that it worked for."""

    id: str = Field(description="The run")
    attempt: int = Field(description="Which of its attempts made the change")
    runner: str = Field(description="The version of Skillrunner")
    repository: str = Field(description="owner/name, or a folder's name")
    base_ref: str = Field(description="The branch that it worked on")
    base_sha: Commit = Field(description="The commit that it started from")
    spec: str = Field(description="SHA-256 of all that the run was planned with; empty: it is not known")
    cause: RunCause = Field(description="What started it")


class SkillIdentity(Model):
    """The skill, and its version."""

    name: str = Field(description="Its name")
    path: str = Field(description="Its folder in the repository")
    commit: Commit | None = Field(description="The commit that it was read from; null: it is not committed")
    sha256: str = Field(description="Digest of the skill's files")


class PromptDigest(Model):
    """What the agent was told first."""

    sha256: Sha256 = Field(description="Digest of the file prompt.md of the run")


class AgentEnvironment(Model):
    """Where the agent worked."""

    sandbox: str = Field(description="What isolated it")
    image: str = Field(description="The image by its name; empty: there was none")
    image_digest: str = Field(description="The image by its content; empty: there was none")
    setup: Many[str] = Field(description="Commands that prepared it")
    secrets: Many[str] = Field(description="Names of the secrets that it had; never their values")


class Agent(Model):
    """What did the work."""

    kind: str = Field(description="The harness")
    version: str | None = Field(description="Its version, as it says itself; null: it says none")
    model: str | None = Field(description="The model that the skill asks for; null: it names none")
    answered: Many[str] = Field(description="The models that answered, by the names in their answers")


class GatewayPolicy(Model):
    """What the sandbox could reach, besides the model."""

    hosts: Many[str] = Field(description="Hosts and ecosystems")
    provider_tools: Many[str] = Field(description="What the model's provider might do besides answering")
    tools: Many[str] = Field(description="Tools of the runner")
    mcp: Many[str] = Field(description="Servers of the Model Context Protocol")


class Change(Model):
    """The change that the policy allowed."""

    tree: Commit = Field(description="The tree that the agent left, as git names it")
    patch_sha256: Sha256 = Field(description="Digest of the patch, the run's file `patch`")
    patch_bytes: int = Field(description="Its size")
    files: int = Field(description="How many files it changes")
    declared_sha256: Sha256 = Field(description="Digest of what the agent declared, as canonical JSON")


class Verification(Model):
    """A command that the runner ran on a clean tree with the change."""

    command: str = Field(description="The command")
    exit: int | None = Field(description="Its exit code; null: it was stopped")
    ok: bool = Field(description="Whether it passed")
    output_sha256: Sha256 = Field(description="Digest of the end of its output, as the run keeps it")


class PolicyRefusal(Model):
    """What the policy refused of an earlier attempt."""

    rule: str = Field(description="The rule", examples=["protected_path"])
    subject: str = Field(description="The path, or the name of the text")
    message: str = Field(description="Why")


class EarlierAttempt(Model):
    """An attempt that ended without a publication."""

    attempt: int = Field(description="Its number")
    message: str = Field(description="How it ended")


class NetworkRefusal(Model):
    """A host that a program in the sandbox asked for in vain."""

    host: str = Field(description="The host")
    reason: str = Field(description="Why it was not let out")
    times: int = Field(description="How often")


class Refused(Model):
    """What was tried and refused on the way."""

    policy: Many[PolicyRefusal] = Field(description="By the policy")
    attempts: Many[EarlierAttempt] = Field(description="Attempts that ended otherwise")
    network: Many[NetworkRefusal] = Field(description="By the gateway")


class Approval(Model):
    """A person's yes to this proposal."""

    by: str = Field(description="Who")
    at: str = Field(description="When, in ISO 8601")
    sha256: str = Field(description="Digest of what was shown")
    why: str = Field(default="", description="Their words")


class Cost(Model):
    """What the model cost, over all attempts until then."""

    usd: Dollars | None = Field(description="US dollars; null: unknown")
    usd_at_least: Dollars | None = Field(default=None, description="What is known of an unknown cost")
    tokens_in: int = Field(description="Tokens of input")
    tokens_out: int = Field(description="Tokens of output")


class RunWork(Model):
    """All that is known before the commit. It holds no number but whole ones."""

    run: RunIdentity
    skill: SkillIdentity
    prompt: PromptDigest
    environment: AgentEnvironment
    harness: Agent
    gateway: GatewayPolicy
    change: Change
    verification: Many[Verification]
    refused: Refused
    approvals: Many[Approval]
    cost: Cost

    @property
    def sha256(self) -> str:
        """The digest that the commit's trailer names."""
        return hashlib.sha256(canonical(self)).hexdigest()


class PublishedItem(Model):
    """What was published, and where."""

    kind: str = Field(description="The output")
    key: str = Field(description="Runs with equal keys share one publication")
    action: str = Field(description="What was done", examples=["created"])
    url: str = Field(description="Where it is")
    number: int | None = Field(default=None, description="Its number")
    sha: str = Field(default="", description="The commit; empty: it has none")
    branch: str = Field(default="", description="The branch; empty: it has none")
    item: str = Field(default="", description="Which of several of its kind; empty: there is one")


class RunPredicate(Model):
    """How a change came about."""

    work: RunWork = Field(description="What is known before the commit")
    work_sha256: Sha256 = Field(description="Digest of `work` in canonical JSON, as in the commit's trailer")
    at: str = Field(description="When this was stated, in ISO 8601")
    published: Many[PublishedItem] = Field(description="What came of it")


class Digests(Model):
    """A digest, by how it is made."""

    gitCommit: Commit | None = Field(default=None, description="A commit")  # noqa: N815 - in-toto's word
    sha256: Sha256 | None = Field(default=None, description="A file")


class Subject(Model):
    """What the statement is about."""

    name: str = Field(description="owner/name@branch for a commit, `patch` or `declared` for a file")
    digest: Digests


class Statement(Model):
    """An in-toto statement: the payload of the envelope that is signed."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[Many[Subject], Field(min_length=1)]
    predicateType: Literal["urn:skillrunner:attestation:run:v1"]  # noqa: N815 - in-toto's word
    predicate: RunPredicate


def canonical(model: Model) -> bytes:
    """The model as RFC 8785 writes it: sorted keys, no spaces, and here no number that is not whole."""
    data = model.model_dump(mode="json")
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def payload(statement: Statement) -> bytes:
    """The statement as it is signed."""
    data = statement.model_dump(mode="json", by_alias=True)
    for subject in data["subject"]:
        subject["digest"] = {name: value for name, value in subject["digest"].items() if value is not None}
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def trailer(work_sha256: str) -> str:
    """The line of a commit's message that leads to the statement."""
    return f"{TRAILER}: sha256:{work_sha256}"
