"""The machine's limit: the columns that the rollups need, decoded from our sealed events and thrown away."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from common import main

COLUMNS = ["org_id", "user_id", "app_id", "action", "duration_ms"]


def decode(job, clock):
    """A file for each thread at a time; text as values or, what is less work, as dictionary codes."""
    files = open(job["files"]).read().split("\n")
    pa.set_cpu_count(job["threads"])
    coded = COLUMNS[:4] if job["dictionary"] else []
    read = lambda file: pq.ParquetFile(file, read_dictionary=coded).read(COLUMNS, use_threads=False).num_rows
    with ThreadPoolExecutor(job["threads"]) as workers:
        rows = sum(workers.map(read, files))
    assert rows > 0
    clock("decode")


if __name__ == "__main__":
    main({"decode": decode})
