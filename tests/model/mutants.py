"""Run the model tests, or the stress of orders, with each fault of base/mutant.hpp in turn.

Every fault has to be found, by the test that is named here. The table of docs/concurrency.md is
compared with this one.

    python tests/model/mutants.py --tests build/dev/tests     # those that schedules show
    python tests/model/mutants.py --tests build/tsan/tests    # those that only ThreadSanitizer sees
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FOUND_BY = {
    "claims_sealed": "QueueModel.TakesEachRowOnce",
    "takes_incomplete": "QueueModel.TakesEachRowOnce",
    "weak_publish": "PermitsModel.RowsThatComeDuringARunAreSeenAfterIt",
    "weak_permits": "PermitsModel.ACallerLeavesTheRowsOfOthersToAWorker",
    "weak_timer": "DelayModel.ARowThatComesAsTheTimekeeperWakesRuns",
    "waits_without_scan": "SpaceModel.RowsOfAnotherKeyAreDueWhenTheirRoomIsWanted",
    "stays_in_line": "SpaceModel.WhoseTimeIsUpIsOutOfTheLine",
    "forgets_space": "SpaceModel.WhoWaitsForRoomGetsIt",
    "no_scan_after_permit": "PermitsModel.ACallerLeavesTheRowsOfOthersToAWorker",
    "no_scan_after_delay": "DelayModel.RowsBecomeDueWhenTheDelayGoes",
    "starts_unseen": "HoldModel.AHolderStartsWhatItHeld",
    "stays_held": "HoldModel.WhoDoesNotHoldIsNotKeptWaiting",
    "drops_wake_up": "PermitsModel.AWorkerComesForEveryRow",
    "stays_on_its_way": "PermitsModel.AThreadThatComesAgainFindsAWorker",
    "sleeps_without_look": "PermitsModel.AWorkerThatComesLateLooks",
    "finishes_unlocked": "SpaceModel.WhoWaitsForRoomGetsIt",
    "recycles_early": "SpaceModel.WhoWaitsForRoomGetsIt",
    "drops_output_hold": "EndingModel.AReaderKeepsItsOutputBlock",
    "closes_unsealed": "CloseModel.DrainingAnswersWhatWasAccepted",
    "lingers_for_ever": "LingerModel.RowsThatComeMeanwhileRun",
    "trusts_wake_ups": "PermitsModel.CallersThatLeadLeaveNobodyBehind",
    "clears_after_taking": "PortModel.TheReaderIsToldOfEveryEntry",
    "forgets_adders": "PortModel.MayGoOnceTheLastEntryIsDrained",
    "waits_unannounced": "PermitsModel.CallersThatLeadLeaveNobodyBehind",
    "ends_without_exchange": "EndingModel.CancelAndCompletionEndARequestOnce",
    "cancel_frees": "EndingModel.CancelAndCompletionEndARequestOnce",
    "pool_without_tag": "RequestPoolModel.AnObjectHasOneOwner",
    "weak_staged_publish": "StagedModel.RequestsThatComeDuringARunAreSeenAfterIt",
    "takes_unready": "StagedModel.TakesEachRequestOnceItIsPublished",
    "weak_run_token": "StagedModel.NobodySleepsBesideAFreeToken",
    "counts_late": "EndingModel.WhoHasAnAnswerFindsItsRunCounted",
    "relaxed_publish": "ThreadSanitizer",
    "relaxed_end": "ThreadSanitizer",
    "relaxed_pool": "ThreadSanitizer",
}
TSAN = "ThreadSanitizer"
FOUND = re.compile(r"found after (\d+) schedules; replay: (.*)")


def declared() -> set[str]:
    text = (ROOT / "cpp/src/base/mutant.hpp").read_text(encoding="utf-8")
    return set(re.findall(r"^  X\((\w+)\)", text, re.MULTILINE))


def documented() -> dict[str, str]:
    text = (ROOT / "docs/concurrency.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(\w+)` \|[^|]*\| (?:`([\w.]+)`|\w+) \|", text, re.MULTILINE))


def executable(tests: Path, mutant: str) -> Path:
    suite = FOUND_BY[mutant].split(".")[0]
    if suite == TSAN:
        return tests / "stress_orders_test"
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", suite.removesuffix("Model")).lower()
    return tests / f"model_{stem}_test"


def run(tests: Path, mutant: str) -> tuple[bool, str]:
    """Whether the fault is found, and how."""
    command = [str(executable(tests, mutant))]
    if FOUND_BY[mutant] != TSAN:
        command.append(f"--gtest_filter={FOUND_BY[mutant]}")
    start = time.monotonic()
    result = subprocess.run(
        command,
        env=os.environ | {"DYNBATCH_MUTANT": mutant},
        capture_output=True,
        text=True,
        check=False,
    )
    took = f"{time.monotonic() - start:.1f} s"
    output = result.stdout + result.stderr
    if FOUND_BY[mutant] == TSAN:
        return result.returncode != 0 and "data race" in output, f"a data race, {took}"
    found = FOUND.search(output)
    if result.returncode == 0 or found is None:
        return False, f"not found, {took}: {output[-400:]}"
    return True, f"{found[1]} schedules, {took}: {found[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run every mutant; each must be found.")
    parser.add_argument("--tests", type=Path, required=True, help="folder of the built tests")
    parser.add_argument("--only", help="one mutant")
    arguments = parser.parse_args()
    faults = [f"{name}: not in FOUND_BY" for name in sorted(declared() - FOUND_BY.keys())]
    faults += [f"{name}: not in mutant.hpp" for name in sorted(FOUND_BY.keys() - declared())]
    table = documented()
    for mutant, test in FOUND_BY.items():
        if table.get(mutant) != ("" if test == TSAN else test):
            faults.append(f"{mutant}: docs/concurrency.md does not say {test}")
    ran = 0
    for mutant, test in FOUND_BY.items():
        wanted = arguments.only in (None, mutant) and executable(arguments.tests, mutant).exists()
        if not wanted or (test == TSAN) != (arguments.tests.resolve().parent.name == "tsan"):
            continue
        ran += 1
        found, how = run(arguments.tests.resolve(), mutant)
        print(f"{mutant:<22} {test}\n    {how}", flush=True)
        if not found:
            faults.append(f"{mutant}: {test} does not find it")
    print(f"{ran} mutants")
    if faults or ran == 0:
        sys.exit("\n".join(faults) or "nothing was run")


if __name__ == "__main__":
    main()
