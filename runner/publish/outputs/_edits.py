"""What a person wrote into the body of our pull request, so that it survives when we write ours anew. Pure.

Our words (Why, What) are a person's as soon as they changed them. Our facts (the warning, Files, Evidence)
are written anew each time, and what stands beside them is kept.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from runner.publish.outputs import _marker
from runner.publish.signing import Signer

WARNING = "> [!WARNING]\n> **Verification failed.** This is a draft to look at, not work that is done."
STEER = (
    "Push a commit here and it is left alone from then on. Close it, and it is not proposed again;"
    " reopen it to have it kept up to date again. What you change in title, text and labels stays."
)
_WORDS = ("Why", "What")
OURS = (*_WORDS, "Files", "Evidence")
_HEADING = re.compile(r"#{1,6} +(.*?) *#* *$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_FACT = re.compile(
    r"\| |\|---|and \d+ more|(?:✅|❌) `"
    r"|The skill has no `verify:` commands: nothing was checked but the policy\."
)
_MOST = 40_000  # characters of a person's that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What is a person's in a body."""

    above: str = ""  # all sections
    words: Mapping[str, str] = field(default_factory=dict)  # of our sections that they changed; "": deleted
    beside: Mapping[str, str] = field(default_factory=dict)  # what follows each of our sections
    below: str = ""  # our footer
    digests: Mapping[str, str] = field(default_factory=dict)  # of what we wrote

    @property
    def size(self) -> int:
        kept = (self.above, *self.words.values(), *self.beside.values(), self.below)
        return sum(len(text) + 2 for text in kept)

    def edited_digests(self) -> Mapping[str, str]:
        """The digests of the sections that are not ours any more: they stay as they were."""
        return {name: self.digests[name] for name in self.words if name in self.digests}

    def combine(self, sections: Mapping[str, str]) -> Iterator[str]:
        """Ours and theirs in order."""
        yield from (self.above, sections.get("", ""))
        for name in OURS:
            yield self.words.get(name, sections.get(name, ""))
            yield self.beside.get(name, "")


def read(body: str, signer: Signer) -> Edits:
    """What a person has changed in a body; all of it, where no marker of ours that counts is in it."""
    found = _marker.read(body, signer)
    if found is None:
        return Edits(above=body.strip()[:_MOST])
    inside, below = _marker.around(body)
    blocks = _with_one_of_each(list(_blocks(inside)), found.sections)
    here = {name: text for name, text in blocks if name in OURS}
    words = {
        name: here.get(name, "").strip()
        for name in _WORDS
        if name in found.sections and _marker.digest(here.get(name, "")) != found.sections[name]
    }
    above, beside, footer = _others(blocks, found.sections)
    under = _joined((footer, below.strip()))
    return Edits(
        above=above, words=words, beside=beside, below=f"\n\n{under}" if under else "", digests=found.sections
    )


def _with_one_of_each(blocks: list[tuple[str, str]], digests: Mapping[str, str]) -> list[tuple[str, str]]:
    """One block counts as ours of several with the same heading: the one that we wrote, else the last."""
    ours: dict[str, int] = {}
    for at, (name, _) in enumerate(blocks):
        if name not in ours or _marker.digest(blocks[ours[name]][1]) != digests.get(name, ""):
            ours[name] = at
    kept = set(ours.values())
    return [block if at in kept else ("other", block[1]) for at, block in enumerate(blocks)]


def _others(blocks: list[tuple[str, str]], digests: Mapping[str, str]) -> tuple[str, Mapping[str, str], str]:
    """What stands above our sections, after each of them, and in our footer."""
    last, above, footer = "", list[str](), ""
    beside: dict[str, list[str]] = {}
    for name, text in blocks:
        if name == "":
            above = [text.replace(WARNING, "").strip()]
        elif name == "footer":
            footer = text.partition(STEER)[2].strip()
        elif name in OURS:
            last = name
            if name not in _WORDS and _marker.digest(text) != digests.get(name):
                beside.setdefault(name, []).append(_beside_facts(text))
        else:
            (beside.setdefault(last, []) if last else above).append(text.strip())
    return _joined(above), {name: _joined(texts) for name, texts in beside.items()}, footer


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, texts))


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """(heading, text) of each part: "" what comes before all, "footer" ours, "other" a person's."""
    name, part = "", list[str]()
    lines = list(_lines(text))
    for (line, is_code), (following, _) in zip(lines, [*lines[1:], ("", False)], strict=True):
        heading = None if is_code else _name(line, following)
        if heading is not None:
            yield name, "\n".join(part)
            name, part = heading, []
        part.append(line)
    yield name, "\n".join(part)


def _name(line: str, following: str) -> str | None:
    if found := _HEADING.match(line):
        return found[1] if line.startswith("### ") and found[1] in OURS else "other"
    return "footer" if line.rstrip() == "---" and following.startswith("run ") else None


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is code."""
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            yield line, True
            if mark and mark[1].startswith(fence) and line.strip() == mark[1]:
                fence = ""
        else:
            fence = mark[1] if mark else ""
            yield line, bool(mark)


def _beside_facts(text: str) -> str:
    """The lines of a section of facts that are none of ours."""
    rest = [line for line, code in list(_lines(text))[1:] if not code and not _FACT.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(rest)).strip()
