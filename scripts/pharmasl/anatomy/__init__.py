"""Anatomy: brain mask, bias field, template registration and tissue fractions of a T1-weighted image."""
