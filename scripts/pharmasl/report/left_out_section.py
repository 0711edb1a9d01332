"""The effect that chose a region, tested in regions that each participant did not help to choose."""

from pharmasl.report.words import MISSING, Table, count, fixed, p_value, p_words, plain

SUFFIX = "_leftout_test.json"


def sentences(tests, config):
    """Say for each region how many had one of their own, what r is there, and what each p is worth."""
    told = []
    for name, test in tests.items():
        analysis = plain(config["rois"][name]["analysis"])
        start = f"{plain(name)} is a cluster of the analysis {analysis}"
        if test["status"] != "run":
            told.append(f"{start}; its own effect was not tested again without each participant: {test['status']}.")
            continue
        found = f"each participant left out in turn, it was found again for {test['n']} of {test['participants']}"
        if test["r"] is None:
            told.append(f"{start}; {found}, too few to test its effect.")
            continue
        told.append(
            f"{start}; {found}. With {plain(test['tested_term'])}, the variable that chose it, the change of CBF read there "
            f"has r = {fixed(test['r'])}, {p_words(test['p'])} (one-sided; map, choice of the cluster and test all repeated in "
            f"{count(test['permutations'], 'permutation')}). The p of the textbook for the same r ({p_words(test['p_naive'])}) "
            "is too small, since participants share most of the data that chose their clusters; "
            f"r = {fixed(test['r_same_region'])} in the one cluster of all participants is circular."
        )
    return told


def table(tests, config):
    """The same numbers, the circular ones beside the honest one."""
    cells = []
    for name, test in tests.items():
        start = [plain(name), plain(config["rois"][name]["analysis"])]
        if test["status"] != "run":
            cells.append([*start, *[MISSING] * 6])
            continue
        cells.append(
            [
                *start,
                f"{test['n']} of {test['participants']}",
                fixed(test["r"]),
                p_value(test["p"]),
                p_value(test["p_naive"]),
                fixed(test["r_same_region"]),
                p_value(test["p_same_region"]),
            ]
        )
    heads = [
        "Region",
        "Analysis",
        "Found without the participant",
        "r, left out",
        "p, whole procedure (one-sided)",
        "p, textbook (too small)",
        "r, same region (circular)",
        "p, same region (circular)",
    ]
    return Table("The effect that chose a region, in regions found without each participant", heads, cells, {0, 1})


def section(tests, config):
    """Sentences and table.

    Parameters
    ----------
    tests : dict
        Region to its ``_leftout_test.json``.
    config : dict

    Returns
    -------
    dict or None
        None where there are none.
    """
    return {"sentences": sentences(tests, config), "table": table(tests, config)} if tests else None
