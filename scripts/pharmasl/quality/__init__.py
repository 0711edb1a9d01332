"""Quality of the scans: one row and one picture a scan, one table a study. Flags never drop a scan."""
