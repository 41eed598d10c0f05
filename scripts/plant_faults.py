"""Plant small faults in the modules that decide things, and tell which of them the tests notice.

    python scripts/plant_faults.py --count 100 --seed 1
    python scripts/plant_faults.py --only slots,triggers --list

A fault has a stable identity: its module's name, the function, the kind of the fault and both texts. Which
faults are chosen depends on these and on the seed alone, so that a file which is moved keeps its faults. Each
one is planted in a copy of the tree; the work tree is not written to.

Why this is no library: mutmut 3 changes function bodies only (the tables of these modules decide as much) and
numbers its faults, so that an edit renames them; cosmic-ray changes the work tree in place, takes one test
command for a session, and knows neither strings nor the elements of a table.
"""

import argparse
import difflib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fault_kinds import Fault, faults_in

ROOT = Path(__file__).resolve().parent.parent
_SPARE_SECONDS = 60  # that a fault's tests may take beyond three times what they take without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """Where a subject is decided, and the tests that name it."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


def _modules(text: str) -> dict[str, Module]:
    return {
        name: Module(
            sources=tuple(f"runner/{path}" for path in table["sources"]),
            tests=tuple(f"tests/{path}" for path in table["tests"]),
        )
        for name, table in tomllib.loads(text).items()
    }


MODULES = _modules(Path(__file__).with_name("fault_modules.toml").read_text())


def main(arguments: Sequence[str] | None = None) -> int:
    """Choose, plant, test; 1 where a fault was not noticed."""
    options = _options().parse_args(arguments)
    names = options.only.split(",") if options.only else list(MODULES)
    candidates = {name: _candidates(name) for name in names}
    chosen = (
        _named(candidates, options.file) if options.file else choose(candidates, options.count, options.seed)
    )
    if options.list:
        print("\n".join(fault.identity for fault in chosen))
        return 0
    survivors = _run(chosen)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} noticed")
    return 1 if survivors else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100, help="how many faults, spread over the modules")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--only", default="", help="names of modules, with commas between them")
    parser.add_argument("--file", type=Path, help="instead: the faults that an earlier --list named")
    parser.add_argument(
        "--list", action="store_true", help="name the faults that are chosen, and test nothing"
    )
    return parser


# --- which faults --------------------------------------------------------------------------------------


def _candidates(name: str) -> list[Fault]:
    return [fault for source in MODULES[name].sources for fault in faults_in(ROOT, source, name)]


def choose(candidates: dict[str, list[Fault]], count: int, seed: int) -> list[Fault]:
    """As many of each module, of its functions in turn, and of kinds that were chosen least."""
    orders = [_order(faults, seed) for faults in candidates.values()]
    chosen: list[Fault] = []
    while len(chosen) < count and (left := [order for order in orders if order]):
        chosen += [order.pop(0) for order in left][: count - len(chosen)]
    return sorted(chosen, key=lambda fault: list(candidates).index(fault.module))


def _named(candidates: dict[str, list[Fault]], file: Path) -> list[Fault]:
    """Those that a file names, by their identity or, where a function has another name, by all but that."""
    chosen = []
    for line in file.read_text().splitlines():
        module, _, rest = line.partition(":")
        of_module = candidates.get(module, [])
        found = [fault for fault in of_module if fault.identity == line]
        found = found or [fault for fault in of_module if rest.endswith(f" {fault.change}")]
        if found:
            chosen.append(found[0])
        else:
            print(f"  - gone: {line}")
    return chosen


def _order(faults: Iterable[Fault], seed: int) -> list[Fault]:
    """Each function gives one fault a round. The seed orders the functions and what is in them."""
    by_function = defaultdict[str, list[Fault]](list)
    for fault in sorted(faults, key=lambda one: _lot(seed, one.identity)):
        by_function[fault.function].append(fault)
    kinds, ordered = Counter[str](), list[Fault]()
    functions = sorted(by_function, key=lambda name: _lot(seed, name))
    while functions := [name for name in functions if by_function[name]]:
        for name in functions:
            fault = min(by_function[name], key=lambda one: kinds[one.kind])
            by_function[name].remove(fault)
            kinds[fault.kind] += 1
            ordered.append(fault)
    return ordered


def _lot(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode()).digest()


# --- what the tests say ----------------------------------------------------------------------------------


def _run(faults: Sequence[Fault]) -> list[Fault]:
    """Plant them one by one in a copy of the tree; those that the tests did not notice."""
    survivors, limits = [], dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        copy = Path(place) / "tree"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        for number, fault in enumerate(faults, 1):
            if fault.module not in limits:
                limits[fault.module] = _limit(copy, fault.module)
            began = time.monotonic()
            noticed = _is_noticed(copy, fault, limits[fault.module])
            word = "noticed" if noticed else "SURVIVED"
            print(f"{number:3} {word} {time.monotonic() - began:4.0f} s  {fault.identity}", flush=True)
            if not noticed:
                survivors.append(fault)
                print(_diff(fault, (copy / fault.source).read_text()), flush=True)
    return survivors


def _limit(copy: Path, name: str) -> float:
    """Seconds that the tests of a module may take; they have to pass as they are."""
    began = time.monotonic()
    said = _failure(copy, name, timeout=1800)
    if said is not None:
        sys.exit(f"{said}\nthe tests of {name} fail without any fault")
    return 3 * (time.monotonic() - began) + _SPARE_SECONDS


def _is_noticed(copy: Path, fault: Fault, limit: float) -> bool:
    source = copy / fault.source
    before = source.read_text()
    try:
        source.write_text(fault.plant(before))
        return _failure(copy, fault.module, limit) is not None
    finally:
        source.write_text(before)


def _failure(copy: Path, name: str, timeout: float) -> str | None:
    """What the tests print when one fails, or when they do not end; None: all of them pass."""
    shutil.rmtree(copy / ".hypothesis", ignore_errors=True)  # a failure that an earlier fault left behind
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--hypothesis-seed=0", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile(
        "w+"
    ) as said:  # a pipe would stay open as long as anything that a test started
        process = subprocess.Popen(
            [*command, *MODULES[name].tests],
            cwd=copy,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            failed = process.wait(timeout) != 0
        except subprocess.TimeoutExpired:
            failed = True
        finally:
            with suppress(ProcessLookupError):  # with all that it started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return said.read() if failed else None


def _diff(fault: Fault, before: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), fault.plant(before).splitlines(), fault.source, fault.source, lineterm="", n=1
    )
    return "\n".join(f"      {line}" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
