"""Craving and regional values that a test makes up, as the tables that the endpoint stage works on."""

import math

import numpy as np
from pharmasl.endpoints import endpoint, regional_values


def endpoint_of(rows, arms, sessions):
    """The endpoint of rows of scores."""
    return endpoint.Endpoint(endpoint.frame(rows), arms, sessions)


def visits(cbf):
    """Values by participant and session as a table."""
    rows = [{"participant_id": who, "session_id": session, "cbf": value} for (who, session), value in cbf.items()]
    return regional_values.visits(rows, "cbf")


def regions(cbf, defined):
    """Values by region and contrast, then by participant and session."""
    return regional_values.RegionalValues({name: visits(own) for name, own in cbf.items()}, defined)


def records(table):
    """The rows of a table, None where a value is missing."""
    rows = table.to_dict("records") if hasattr(table, "to_dict") else [dict(vars(row)) for row in table]
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in rows
    ]


def pair(seed, n=30, rho=0.5):
    """Two normal variables of ``n`` participants with a correlation in the population."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)
