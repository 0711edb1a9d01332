"""What ``inference.json`` holds of an analysis of two arms, as far as its figures read it."""

TWO_ARMS = {
    "status": "run",
    "contrast": "rest",
    "effect": {"name": "group_by_time", "meaning": "M", "unit": "mL/100 g/min"},
    "seed": None,
    "arms": {"treatment": "drug", "control": "placebo"},
    "alpha": 0.05,
    "verdict": {"statistic": "extent", "error_rate": "family-wise error", "can_reach_alpha": True},
    "model": {"df": 9, "n_treatment": 6, "n_control": 5},
    "permutation": {"number": 462},
    "tests": {"two_sided": True, "cluster": {"forming_p": 0.001, "forming_t": 4.3, "neighbours": 18}},
}
