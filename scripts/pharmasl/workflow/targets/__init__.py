"""Which outputs follow from a study: the lists that the rules' input functions and params hand on.

Every method takes names (of a scan, a visit, an analysis, a region), never Snakemake's wildcards.
"""
