"""What a user calls beside Snakemake: help, a configuration made from a dataset, the study before any job."""
