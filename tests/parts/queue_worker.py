"""A process that takes runs from the queue and tells what it does.

Usage: queue_worker.py URL NAME SECONDS, and on its input `start RUN` or `recover WORKER ...`.
"""

import sys
import time

from runner.store.engine import open_engine


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(url: str, name: str, seconds: float) -> None:
    def handle(run_id: str, attempt: int) -> None:
        tell(f"begin {run_id}:{attempt}")
        time.sleep(seconds)
        tell(f"end {run_id}:{attempt}")

    with open_engine(url, name, handle) as engine:
        tell("ready")
        for line in sys.stdin:
            verb, *names = line.split()
            if verb == "recover":
                tell(f"recovered {engine.recover(names)}")
            else:
                engine.enqueue(names[0], 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
