"""The page that answers the study's questions, in one self-contained file."""
