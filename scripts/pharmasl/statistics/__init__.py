"""Statistics that no stage owns: corrections for several tests."""
