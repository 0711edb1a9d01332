"""Regions of interest: what they are, on the template and in a scan, and what is read in them."""
