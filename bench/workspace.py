"""How long a workspace takes to stand ready, and what came out of it to be taken.

Each measure stands beside its floor, what git itself needs for the same repository on the same disk, in
the same round; the ratio is taken per round, and the median of the ratios is what counts. "cold": nothing
is cached. "warm": the mirror is there and the commit was checked out before; "new commit": the mirror is
there, the commit is new to us. A plain checkout is what users without root or overlayfs have.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from runner.core import safe_fs
from runner.core.model import Allowance, Phase, Remote
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace, checkout
from runner.workspace.harvest import harvest
from runner.workspace.mirror import Mirror
from tests.parts.repos import git, many

GOALS: dict[str, float | None] = {
    "cold": 1.1,
    "warm": 0.5,
    "new commit": 1.1,
    "warm, plain": 0.5,
    "harvest": None,
}
EDITS = 20


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def clone(source: Path, at: Path) -> None:
    git(source.parent, "clone", "--quiet", str(source), str(at))


def edit(root: Path) -> None:
    """What an agent might do: change some files, add some."""
    for number in range(EDITS):
        (root / f"pkg0/mod{number}/file{number * 20}.py").write_text(f"changed {number}\n")
        (root / f"pkg0/mod{number}/new.py").write_text("new\n")


def settle() -> None:
    """Let the disk finish what the measure before left to it."""
    subprocess.run(["sync"], check=True)


def ours(stack: ExitStack, state: Path, source: Path, name: str, *, layered: bool) -> Workspace:
    """All that a run does until its workspace stands."""
    mirror = Mirror(state, str(source))
    mirror.fetch(Remote(url=str(source)))
    return stack.enter_context(checkout(mirror, mirror.resolve("main"), name, layered=layered))


def ready(state: Path, source: Path, name: str, *, layered: bool) -> float:
    with ExitStack() as stack:
        settle()
        return timed(lambda: ours(stack, state, source, name, layered=layered))


def harvested(folder: Path, source: Path) -> tuple[float, float]:
    """Seconds for our harvest, and for git's own way to the same patch in a clone that can be trusted."""
    with ExitStack() as stack:
        workspace = ours(stack, folder / "state", source, "harvest", layered=True)
        edit(workspace.path)
        changeset = Changeset(folder / "proposal.git", workspace.mirror.objects, Phase.PROPOSAL)
        settle()
        mine = timed(lambda: harvest(workspace, Allowance(), changeset))
    edit(folder / "plain")
    settle()
    floor = timed(lambda: staged(folder / "plain"))
    return mine, floor


def staged(clone_of_ours: Path) -> None:
    git(clone_of_ours, "add", "--all")
    git(clone_of_ours, "write-tree")
    git(clone_of_ours, "diff", "--cached", "--binary", "--full-index")
    git(clone_of_ours, "diff", "--cached", "--numstat")


def one_round(folder: Path, source: Path) -> dict[str, tuple[float, float]]:
    """(ours, floor) in seconds for each measure."""
    state = folder / "state"
    settle()
    floor = timed(lambda: clone(source, folder / "plain"))
    found = {"cold": (ready(state, source, "cold", layered=True), floor)}
    found["warm"] = (ready(state, source, "warm", layered=True), floor)
    found["warm, plain"] = (ready(state, source, "plain", layered=False), floor)
    found["harvest"] = harvested(folder, source)
    git(source, "update-ref", "refs/heads/main", new_commit(source))
    settle()
    later = timed(lambda: clone(source, folder / "later"))
    found["new commit"] = (ready(state, source, "new", layered=True), later)
    return found


def new_commit(source: Path) -> str:
    return git(source, "commit-tree", "main^{tree}", "-p", "main", "-m", "next")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to measure: a folder on the disk in question")
    chosen = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
        source = many(Path(scratch) / "source.git", chosen.files)
        for number in range(chosen.rounds):
            folder = Path(scratch) / f"round-{number}"
            folder.mkdir()
            rounds.append(one_round(folder, source))
            safe_fs.remove(folder)
    print(f"{chosen.files:,} files, {chosen.rounds} rounds, medians; floor: git clone, or git add and diff")
    for name, goal in GOALS.items():
        mine = statistics.median(found[name][0] for found in rounds)
        floor = statistics.median(found[name][1] for found in rounds)
        ratio = statistics.median(found[name][0] / found[name][1] for found in rounds)
        verdict = (
            "no goal" if goal is None else f"goal {goal}: {'reached' if ratio <= goal else 'NOT reached'}"
        )
        print(f"{name:12} {mine:7.3f} s   floor {floor:7.3f} s   ratio {ratio:5.2f}   {verdict}")


if __name__ == "__main__":
    main()
