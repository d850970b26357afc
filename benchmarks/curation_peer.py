"""datatrove's near-duplicate pipeline over JSON lines, with its default settings: the peer of curation.py.

    PEER_PYTHON benchmarks/curation_peer.py FOLDER_OF_JSONL WORK_FOLDER

Runs in a Python that has datatrove, orjson, tokenizers, spacy and fasteners, and nothing of Loopwise: signatures,
buckets, clusters, filter, each one task after the other in one process. Prints one JSON line.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter


def main(records: str, work: Path) -> None:
    config = MinhashConfig()
    reader = JsonlReader(records, glob_pattern="*.jsonl")
    places = {name: str(work / name) for name in ("signatures", "buckets", "removed", "kept")}
    stages = [
        ([reader, MinhashDedupSignature(places["signatures"], config=config)], 1),
        ([MinhashDedupBuckets(places["signatures"], places["buckets"], config=config)], config.num_buckets),
        ([MinhashDedupCluster(places["buckets"], places["removed"], config=config)], 1),
        ([reader, MinhashDedupFilter(places["removed"]), JsonlWriter(places["kept"], compression=None)], 1),
    ]
    began = time.perf_counter()
    for i, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=str(work / f"log{i}")).run()
    seconds = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    kept = sum(1 for file in Path(places["kept"]).glob("*") for _ in file.open("rb"))
    row = {
        "seconds": seconds,
        "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in used),
        "peak_mb": max(one.ru_maxrss for one in used) / 1_024,
        "kept": kept,
        "version": version("datatrove"),
        "config": str(config),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
