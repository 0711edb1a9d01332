"""Quality of the scans: one row and one picture a scan, one table a study; which scans are usable."""
