"""Quality of the scans: one row and one picture per scan, one table per study; which scans are usable."""
