"""Validation: simulated trials analysed by the workflow itself, and what it says of them counted over replicates."""
