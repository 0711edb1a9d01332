"""Arterial spin labelling drug trials, from raw BIDS to the trial's answers.

The stages never import Snakemake; the scripts beside this package map one rule onto one call of it.
"""

__version__ = "0.1.0"
