"""Send an Azure-trace-shaped load through the whole product while a provider fails for a third of it.

Prints one JSON line: requests per second, latencies as the callers saw them, failovers, failures by kind, and what the
log holds of it: rows, duplicates, missing, and how long after the load the last row could be queried.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))

from azure_load import AT_ONCE, LAST_TIMEOUT_MS, arrivals, data_folder_of_traces, run, running


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rps", type=float, default=150.0, help="average; arrivals keep their bursts")
    parser.add_argument("--in-flight", type=int, default=AT_ONCE, help="at most; what comes then waits")
    parser.add_argument("--last-timeout-ms", type=int, default=LAST_TIMEOUT_MS, help="of the last provider")
    options = parser.parse_args()
    folder = data_folder_of_traces()
    if folder is None:
        print("load: put azure_llm/*.csv in the folder that MODELUX_TEST_DATA names", file=sys.stderr)
        return 2
    with running() as product:
        wanted = arrivals(folder, options.requests, options.rps)
        print(run(product, wanted, options.in_flight, options.last_timeout_ms).line(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
