"""``python -m tests.attack [MINUTES] [NAME ...]``: the attacks so named, or all of them.

Each has its share of the processor time. Prints docs/reliability.md's table, a row as soon as its attack is done.
"""

import resource
import signal
import sys

from tests.attack.campaigns import CAMPAIGNS, attack
from tests.attack.names import harmless

MEMORY, SECONDS = 8 * 2**30, 300
"""What the process may address, and how long a trial may take: more of either is a failure."""


def _overdue(*_: object) -> None:
    raise TimeoutError(f"a trial took more than {SECONDS} s")


def main() -> int:
    harmless()  # the drawing library's own process starts before the limit: it reserves far more than it uses
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGALRM, _overdue)
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    chosen = [name for name in CAMPAIGNS if name.startswith(tuple(sys.argv[2:] or [""]))]
    if not chosen:
        print("No attack of that name; there are: " + "; ".join(CAMPAIGNS))  # noqa: T201
        return 2
    failed = 0
    print("| attack | trials | refused in words | failures |\n|---|---|---|---|", flush=True)  # noqa: T201
    for name in chosen:
        one = attack(name, seconds=minutes * 60 / len(chosen), longest=SECONDS)
        print(f"| {one.name} | {one.trials:,} | {one.refused:,} | {len(one.failures)} |", flush=True)  # noqa: T201
        for failure in one.failures[:10]:
            print(f"FAILED  {name}: {failure}", file=sys.stderr, flush=True)  # noqa: T201
        failed += len(one.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
