"""``python -m tests.attack [MINUTES]``: each attack for its share of the time; prints docs/reliability.md's table."""

import resource
import signal
import sys

from tests.attack.campaigns import CAMPAIGNS, attack

MEMORY, SECONDS = 8 * 2**30, 300
"""What the process may address, and how long a trial may take: more of either is a failure."""


def _overdue(*_: object) -> None:
    raise TimeoutError(f"a trial took more than {SECONDS} s")


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGALRM, _overdue)
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    share = minutes * 60 / len(CAMPAIGNS)
    outcomes = []
    for name in CAMPAIGNS:
        outcomes.append(attack(name, seconds=share, longest=SECONDS))
        for failure in outcomes[-1].failures[:10]:
            print(f"FAILED  {name}: {failure}", flush=True)  # noqa: T201
    print("| attack | trials | refused in words | failures |\n|---|---|---|---|")  # noqa: T201
    for one in outcomes:
        print(f"| {one.name} | {one.trials:,} | {one.refused:,} | {len(one.failures)} |")  # noqa: T201
    return 1 if any(one.failures for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
