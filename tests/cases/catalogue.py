"""All cases of wrong, missing, doubled, damaged or ambiguous input, in the order of the table."""

from cases import (
    blocks,
    configuration,
    derivatives,
    echoes,
    encodings,
    endpoints,
    field_maps,
    headers,
    imported_cbf,
    imported_contrasts,
    known_tissue,
    names,
    places,
    planned_trial,
    sheets,
    sidecars,
)

CASES = [
    *sidecars.CASES,
    *sheets.CASES,
    *headers.CASES,
    *places.CASES,
    *names.CASES,
    *field_maps.CASES,
    *encodings.CASES,
    *known_tissue.CASES,
    *blocks.CASES,
    *echoes.CASES,
    *configuration.CASES,
    *endpoints.CASES,
    *derivatives.CASES,
    *imported_cbf.CASES,
    *imported_contrasts.CASES,
    *planned_trial.CASES,
]
