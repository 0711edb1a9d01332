"""Statistics that no stage owns: corrections for several tests, arms of unequal variance, repeated measurements."""
