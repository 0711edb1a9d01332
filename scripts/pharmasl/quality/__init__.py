"""Quality of the scans: one row per scan, one table per study; which scans are usable."""
