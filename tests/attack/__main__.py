"""``python -m tests.attack [MINUTES]``: each attack for its share of the time; prints docs/reliability.md's table."""

import sys

from tests.attack.campaigns import CAMPAIGNS, attack


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    share = minutes * 60 / len(CAMPAIGNS)
    outcomes = []
    for name in CAMPAIGNS:
        outcomes.append(attack(name, seconds=share))
        for failure in outcomes[-1].failures[:10]:
            print(f"FAILED  {name}: {failure}", flush=True)  # noqa: T201
    print("| attack | trials | refused in words | failures |\n|---|---|---|---|")  # noqa: T201
    for one in outcomes:
        print(f"| {one.name} | {one.trials:,} | {one.refused:,} | {len(one.failures)} |")  # noqa: T201
    return 1 if any(one.failures for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
