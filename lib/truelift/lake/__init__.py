"""The lake: session, tables, idempotent writes, scan plans and the Spark edge of kernels."""

from truelift.lake.buckets import bucket_column
from truelift.lake.lake import Lake
from truelift.lake.scan import ScanPlan, ScanUnit, read_batches, read_unit
from truelift.lake.writes import Commit

__all__ = ["Commit", "Lake", "ScanPlan", "ScanUnit", "bucket_column", "read_batches", "read_unit"]
