"""The message of our commit: what it does, and in trailers who made it and from what."""

import re
from typing import TYPE_CHECKING

from runner.publish.attestation.statement import trailer
from runner.publish.outputs import RUN_TRAILER
from runner.publish.outputs._options import options_of
from runner.publish.outputs.escape import one_line

if TYPE_CHECKING:
    from runner.publish.outputs import Offer

SKILL_TRAILER = "Skillrunner-Skill"
_TITLE = 200
_PERSON = re.compile(r"[^<>@\n]{1,100} <[^<>@\s]{1,100}@[A-Za-z0-9.-]{1,200}>")


def title_of(offer: "Offer") -> str:
    """The title of the pull request."""
    return one_line(str(offer.output.options["title"]), _TITLE)


def commit_message(offer: "Offer") -> str:
    """First line, description, and trailers: audits find a skill and a run by them."""
    spec, options = offer.spec, options_of(offer.output)
    first = one_line(options.commit, _TITLE) if options.commit else title_of(offer)
    version = spec.skill.commit or spec.skill.digest
    trailers = [
        f"{SKILL_TRAILER}: {spec.skill.name}@{version[:12]}",
        f"{RUN_TRAILER}: {offer.run_id}",
        *([trailer(offer.work_sha256)] if offer.work_sha256 else []),
        *(f"Co-authored-by: {one}" for one in _people(offer, options.co_authors)),
        *([f"Signed-off-by: {offer.bot.name} <{offer.bot.email}>"] if options.signoff else []),
    ]
    return f"{first}\n\n{one_line(spec.skill.description, 400)}\n\n" + "\n".join(trailers) + "\n"


def _people(offer: "Offer", names: tuple[str, ...]) -> list[str]:
    """Those that are people's names with addresses: they come from templates."""
    wrong = [one for one in names if not _PERSON.fullmatch(one)]
    for one in wrong:
        offer.warn(f"no Co-authored-by for {one!r}: it should be like Name <mail@example.com>")
    return [one for one in dict.fromkeys(names) if one not in wrong]
