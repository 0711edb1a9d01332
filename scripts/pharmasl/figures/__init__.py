"""Pictures of the study's results. Same input, same bytes."""
