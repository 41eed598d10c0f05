"""What outputs have in common that publish each thing that an agent declares.

An item has an output key, which says which published thing it is, and leaves a hidden mark with a digest of
it. A mark counts only on what the runner's own login wrote: anybody can copy it.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.errors import RunnerError
from runner.core.model import DeclaredOutput, OutputSpec, Phase, Reason, Receipt, RunSpec
from runner.core.payload import scalar_at
from runner.core.retrying import retry
from runner.core.units import Maybe
from runner.publish.outputs import Offer
from runner.publish.outputs._body import LIMIT
from runner.publish.outputs.escape import neutralise, one_line

if TYPE_CHECKING:
    from runner.publish.forges import Forge
    from runner.publish.forges._threads import Thread

ID = r"^[a-z][a-z0-9_-]{0,39}$"
REFERENCE = re.compile(r"#id:([a-z][a-z0-9_-]{0,39})(?![a-z0-9_-])")
"""How a text names another thing of the same run, by its temporary id."""

_FOOT = "\n---\nrun "
_SETTLING = (1.0, 2.0)  # seconds until a lost answer is looked up
T = TypeVar("T")


class ItemOptions(Model):
    """What every such output may say in a skill file."""

    max: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="How many a run may publish")
    staged: bool = Field(default=False, description="Show what would be published, and publish nothing")
    min_confidence: Maybe[Literal["medium", "high"]] = Field(
        default=None, description="Below it an item is kept as a suggestion; default: everything is published"
    )


class TargetOptions(ItemOptions):
    """Those of an output that touches something that is there."""

    target: Annotated[Literal["subject", "own", "any"], Field()] = Field(
        default="subject",
        description=(
            "What may be touched: the issue or pull request that the run is about, those that this skill"
            " has published, or any"
        ),
    )


class ItemDeclaration(Model):
    """What an agent may always say of an item."""

    id: Maybe[Annotated[str, Field(pattern=ID)]] = Field(
        default=None, description='a name by which other texts of this run refer to it, as "#id:NAME"'
    )
    rationale: Maybe[Text] = Field(default=None, description="why, in a sentence or two")
    confidence: Maybe[Literal["low", "medium", "high"]] = Field(
        default=None, description="how sure you are: low, medium or high"
    )


class TargetDeclaration(ItemDeclaration):
    """What an agent says of an item that touches something that is there."""

    number: Maybe[int | Annotated[str, Field(pattern=r"^#id:[a-z][a-z0-9_-]{0,39}$")]] = Field(
        default=None,
        description='the issue or pull request, by number or as "#id:NAME"; default: what this run is about',
    )


def item_key(offer: Offer, key: str = "") -> str:
    """The output key of an item: what it names itself, else its cause and place among the run's."""
    own = key or f"{offer.spec.trigger.key}#{offer.position}"
    return f"{offer.spec.skill.name}/{own}"


def mark(kind: str, key: str) -> str:
    """The hidden line that tells what is published: digests alone, so nothing in it can act."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"<!-- skillrunner-item: {kind} {digest} -->"


def is_marked(body: str, kind: str, key: str) -> bool:
    """Whether the mark stands at the end of a body, below all that others wrote."""
    return body.rstrip().endswith(mark(kind, key))


def is_of_skill(body: str, kind: str, skill: str) -> bool:
    """Whether the foot of a body says that this skill published it."""
    _, line, below = body.replace("\r\n", "\n").rpartition(_FOOT)
    first, _, last = below.partition("\n")
    return (
        bool(line)
        and f" · skill {skill} " in first.replace("@", " ")
        and last.startswith(f"<!-- skillrunner-item: {kind} ")
    )


def without_foot(body: str) -> str:
    """What is said above our foot, which names the run and so differs each time."""
    above, line, _ = body.replace("\r\n", "\n").rpartition(_FOOT)
    return above if line else body


def words(offer: Offer, text: str, limit: int) -> str:
    """The text, inert, with its references to things of this run; at most `limit` characters."""
    made = REFERENCE.sub(lambda found: offer.references.get(found[1], found[0]), neutralise(text, limit))
    return made if len(made) <= limit else neutralise(text, limit)


def title(offer: Offer, text: str, prefix: str = "") -> str:
    """A title of one line, inert, with what the skill has all of them begin with."""
    prefix = prefix.strip()
    return one_line(text if text.startswith(prefix) else f"{prefix} {text}", 200)


def signed(offer: Offer, text: str, kind: str, key: str) -> str:
    """The body to publish: the agent's words, whose they are, and the mark. It fits what a forge takes."""
    spec = offer.spec
    commit = f"@{spec.skill.commit[:12]}" if spec.skill.commit else ""
    rationale = offer.item.fields.get("rationale") if offer.item else None
    why = f"\n\n**Why:** {words(offer, str(rationale), 2_000)}" if rationale else ""
    whose = f"{offer.run_id} · skill {spec.skill.name}{commit} · {spec.harness.kind}"
    foot = f"{why}\n{_FOOT}{whose}\n{mark(kind, key)}"
    return words(offer, text, LIMIT - len(foot)) + foot


def subject_number(spec: RunSpec) -> int | None:
    """The issue or pull request that the run's event is about; None: it is about none."""
    event = spec.trigger.event
    places: tuple[tuple[str, ...], ...] = (("issue", "number"), ("pull_request", "number"), ("number",))
    found = (scalar_at(event, *place) for place in places)
    return next((number for number in found if isinstance(number, int)), None)


def target_faults(item: DeclaredOutput, spec: RunSpec, output: OutputSpec) -> list[str]:
    """What is wrong with the number that an item names, as far as it can be told without the forge."""
    number, subject = item.fields.get("number"), subject_number(spec)
    if number is None and subject is None:
        return ["names no `number`, and this run is about no issue or pull request"]
    if output.options.get("target", "subject") == "subject" and isinstance(number, int) and number != subject:
        about = f"#{subject}" if subject is not None else "none"
        return [f"names #{number}, and the skill may only touch what the run is about: {about}"]
    return []


def find_thread(offer: Offer, forge: "Forge") -> "Thread":
    """The issue or pull request that the item touches. Raises RunnerError where it may not be touched."""
    asked = offer.item.fields.get("number") if offer.item else None
    number = _number(offer, asked) if asked is not None else subject_number(offer.spec)
    if number is None:
        raise _refused("names no issue or pull request", "say `number`")
    thread = forge.threads().get(number)
    is_new = isinstance(asked, str)  # this run has just made it
    if offer.output.options.get("target") == "own" and not is_new and not thread.is_own:
        raise _refused(f"#{number} is not the runner's own", "write `target: any` if others may be touched")
    return thread


def _number(offer: Offer, asked: int | str) -> int:
    if isinstance(asked, int):
        return asked
    found = offer.references.get(asked.removeprefix("#id:"), "")
    if not re.fullmatch(r"#\d+", found):
        raise _refused(f"`{asked}` is no issue or pull request of this run", "declare one with this `id`")
    return int(found[1:])


def _refused(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, message, hint=hint)


def create_once(find: Callable[[], T | None], create: Callable[[], T]) -> tuple[T, bool]:
    """What is there already, or what `create` makes; the flag says whether it was made now.

    After an answer that was lost the thing may be there all the same, so it is looked for before it is made
    again. Raises RunnerError as the two do.
    """
    made: list[bool] = []

    def attempt() -> T:
        if (found := find()) is not None:
            return found
        made.append(True)
        return create()

    lost = Reason.FORGE_UNAVAILABLE
    result = retry(attempt, RunnerError, lambda error: error.reason is lost, _SETTLING)
    return result, bool(made)


def receipt(offer: Offer, key: str, action: Any, url: str, number: int | None = None) -> Receipt:
    return Receipt(kind=offer.output.kind, key=key, action=action, url=url, number=number)


def keep(offer: Offer, key: str, name: str, content: bytes, media_type: str) -> Receipt:
    """Keep a file with the run; the receipt says whether it was there already."""
    is_there = offer.load(name) == content
    if not is_there:
        offer.stop()
        offer.save(name, content, media_type)
    action = "unchanged" if is_there else "created"
    return receipt(offer, key, action, f"run:{offer.run_id}#{name}")


def references_of(fields: Mapping[str, Any]) -> set[str]:
    """The temporary ids that the texts of an item name."""
    found: set[str] = set()
    for value in fields.values():
        if isinstance(value, str):
            found |= set(REFERENCE.findall(value))
        elif isinstance(value, Mapping):
            found |= references_of(value)
        elif isinstance(value, list | tuple):
            found |= references_of({str(at): one for at, one in enumerate(value)})
    return found


def attempt(offer: Offer, change: Callable[[], object]) -> bool:
    """Change something that hangs on what is published; what does not go is told and fails nothing."""
    try:
        change()
    except RunnerError as error:
        offer.warn(f"{error.message}: {error.hint}" if error.hint else error.message)
        return False
    return True


def existing_labels(offer: Offer, forge: "Forge", labels: "Sequence[str]") -> tuple[str, ...]:
    """The labels in the repository's own writing; a missing one is made, or left out and told."""
    known = {label.casefold(): label for label in forge.threads().known_labels()}
    for label in labels:
        if label.casefold() not in known and attempt(offer, partial(forge.make_label, label)):
            known[label.casefold()] = label
    return tuple(known[label.casefold()] for label in labels if label.casefold() in known)
