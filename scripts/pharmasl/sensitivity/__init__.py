"""Sensitivity analysis: the same answers under declared alternatives of processing, exclusion and model."""
