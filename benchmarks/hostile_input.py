"""What hostile rule files cost: CPU seconds until the answer, the best of some runs each.

The promise is a second at the most. `python benchmarks/hostile_input.py`
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the files of the tests

from tests.rules.test_rules_file import HOSTILE, problems


def cost(data: bytes) -> float:
    """CPU seconds for one file."""
    begun = time.process_time()
    problems(data)
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs: int = parser.parse_args().runs
    costs = {name: min(cost(data) for _ in range(runs)) for name, data in HOSTILE.items()}
    print("a hostile rules file until its problems are listed, CPU seconds:")
    for name, seconds in sorted(costs.items(), key=lambda entry: -entry[1]):
        print(f"  {seconds:6.3f}  {name}")


if __name__ == "__main__":
    main()
