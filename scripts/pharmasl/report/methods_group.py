"""The methods text of the whole-brain analyses, from their inference blocks."""

from collections.abc import Mapping

from pharmasl.group import verdict
from pharmasl.report.analysis_definitions import Block
from pharmasl.report.words import fixed, listed, lower, short, upper
from pharmasl.study.labels import NAMES, Labels


def groups(blocks: Mapping[str, Block], labels: Labels = NAMES) -> list[str]:
    """All whole-brain analyses; how they were tested stands once where it is the same for all.

    Parameters
    ----------
    blocks : Mapping
        Analysis to its inference block, in the words of the labels.
    labels : Labels

    Returns
    -------
    list of str
        A paragraph for each analysis, then how they were tested.
    """
    text = [group(name, block, labels) for name, block in blocks.items()]
    tests = {name: inference(block) for name, block in blocks.items() if block["status"] == "run"}
    if len(set(tests.values())) == 1:
        return [*text, f"In {'this analysis' if len(tests) == 1 else 'these analyses'}, {next(iter(tests.values()))}"]
    return text + [f"{upper(labels.analysis(name))}: {test}" for name, test in tests.items()]


def group(name: str, block: Block, labels: Labels = NAMES) -> str:
    """The question of a whole-brain analysis, and its model."""
    text = f"{upper(labels.analysis(name))} (contrast {block['contrast']}): {lower(block['effect']['meaning'])}."
    if block["status"] != "run":
        return f"{text} This analysis was {block['status']}."
    model = block["model"]
    covariates = f" Covariates: {listed(block['covariates'])}." if block["covariates"] else ""
    people = f"{model['n']} participants" + (f" on {block['arm']}" if block.get("arm") else "")
    if model.get("n_by_arm") and not block.get("arm"):
        people = "participants: " + listed(f"{number} on {arm}" for arm, number in model["n_by_arm"].items())
    elif "n_treatment" in model:
        people = (
            f"{model['n_treatment']} participants on {block['arms']['treatment']} and {model['n_control']} on "
            f"{block['arms']['control']}"
        )
    within = (
        f" The search volume was restricted to the region {labels.region(block['within'])}."
        if block.get("within")
        else ""
    )
    terms = f" Coding: {'; '.join(model['coding'])}." if model.get("coding") else ""
    scaled = f" {upper(block['scaling']['meaning'])}." if block.get("scaling") else ""
    return (
        f"{text}{scaled}{covariates} {model['design']}; model {model['formula']}; {people}, {short(model['df'])} degrees of freedom."
        f"{terms}{within}"
    )


def inference(block: Block) -> str:
    """How a whole-brain analysis was tested."""
    draws, tests, fields = block["permutation"], block["tests"], block["random_fields"]
    formed = _formed(block)
    if draws is None and fields is None:
        return f"voxels were declared significant by their false discovery rate; {formed}"
    smooth = _smoothness(block)
    if draws is None:
        return f"p values are corrected for family-wise error by random field theory; {formed}{smooth}{_called(block)}"
    number = "all " if draws["exhaustive"] else ""
    seed = "" if draws["seed"] is None else f", seed {draws['seed']}"
    return (
        f"p values are corrected for family-wise error by permutation ({number}{draws['number']:,} relabellings{seed}): {draws['method']}. "
        f"Voxels were tested by the {tests['voxel']['statistic']}, clusters by their {tests['cluster']['statistic']}"
        f"{_other_statistics(tests)}; {formed}{smooth}{_called(block)}"
    )


def _called(block: Block) -> str:
    """How the smallest estimates were made that would have been called significant; empty where there are none."""
    if (block.get("smallest_called") or {}).get("status") != "known":
        return ""
    by_clusters = block["smallest_called"]["statistic"] in ("extent", "mass")
    height = "cluster-forming height" if by_clusters else "height from which voxels are called"
    return f" The smallest estimate that would have been called significant at a voxel is its standard error times the {height}."


def _formed(block: Block) -> str:
    """How clusters were formed, the error rate, and what decides."""
    tests, decided = block["tests"], block["verdict"]
    cluster = tests["cluster"]
    return (
        f"clusters were formed at p < {cluster['forming_p']:g} ({cluster['forming_p_meaning']}) with "
        f"{cluster['neighbours']} neighbours. Tests are {'two' if tests['two_sided'] else 'one'}-sided at a level of "
        f"{block['alpha']:g} {tests['correction']}. Significance is decided by {verdict.WORDS[decided['statistic']]} at a "
        f"{decided['error_rate']} of {block['alpha']:g}; the other statistics are secondary."
    )


def _smoothness(block: Block) -> str:
    """The smoothness on which the p of random fields rest; empty where it is not known."""
    fields = block["random_fields"]
    if not fields or fields["status"] != "known":
        return ""
    sizes = " by ".join(fixed(size, 1) for size in fields["fwhm_voxels"])
    where = ", estimated over the whole brain" if block.get("within") else ""
    return f" Random-field p values, as in SPM, assume a smoothness of {sizes} voxels FWHM{where}."


def _other_statistics(tests: Block) -> str:
    """Mass and TFCE, as the sentence goes on."""
    text = f", their {tests['mass']['statistic']}" if "mass" in tests else ""
    if "tfce" in tests:
        enhanced = tests["tfce"]
        text += (
            f", and voxels also by the {enhanced['statistic']} (E {short(enhanced['extent_power'])}, H "
            f"{short(enhanced['height_power'])}, {enhanced['neighbours']} neighbours)"
        )
    return text
