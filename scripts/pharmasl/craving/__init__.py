"""Cue-elicited craving by arm and session, and its correlation with regional CBF."""
