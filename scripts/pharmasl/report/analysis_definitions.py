"""What was tested in an analysis: its definitions, one text per term."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pharmasl.figures.findings import Findings
from pharmasl.figures.numerals import p_value
from pharmasl.report.words import count, fixed, listed, p_words, plain, short, upper

# A part of an analysis' inference block.
Block = Mapping[str, Any]


class Definition(NamedTuple):
    """A term and what it stands for."""

    term: str
    text: str


def tested(results: Findings) -> list[Definition]:
    """What p means in an analysis: model, search volume and each statistic."""
    block = results.block
    definitions = [Definition("Question" if _is_formula(block) else "Effect", block["effect"]["meaning"])]
    if block.get("seed"):
        definitions.append(Definition("Seed", f"{plain(block['seed']['roi'])}, contrast {block['seed']['contrast']}"))
    if not results.ran:
        return definitions
    return [*definitions, *_model(results), *_statistics(results), *_fields(block), *_error_rates(results)]


def left_out(results: Findings) -> str:
    """How many of those who were to be analysed are not, as a continuation; empty if none."""
    lost = len(results.block.get("excluded") or [])
    return f"; {count(lost, 'participant')} left out" if lost else ""


def _model(results: Findings) -> Iterator[Definition]:
    block = results.block
    model, volume, draws = block["model"], block["search_volume"], block["permutation"]
    yield Definition(
        "Decided by", f"{upper(results.decides)}, {results.level}; all other p values of this analysis are secondary"
    )
    yield Definition("Participants", f"{results.people}{left_out(results)}; {short(model['df'])} degrees of freedom")
    if model.get("participants_by_scans"):
        by_number = [f"{people} with {number}" for number, people in model["participants_by_scans"].items()]
        yield Definition("Scans", f"{model['scans']}: participants {listed(by_number)}")
    yield Definition("Design", model["design"])
    if block.get("scaling"):
        yield Definition(
            "Scaling", f"{upper(block['scaling']['meaning'])}; this is a different question from absolute CBF"
        )
    yield Definition("Model", f"{model['formula']}; {model['statistic']}")
    if _is_formula(block):
        yield from _formula(results)
    size = " x ".join(map(short, volume["voxel_size_mm"]))
    yield Definition(
        "Search volume",
        f"{volume['voxels']:,} of {volume['template_voxels']:,} template voxels of {size} mm: {volume['definition']}",
    )
    if draws:
        number = "all " if draws["exhaustive"] else ""
        seed = "" if draws["seed"] is None else f"; seed {draws['seed']}"
        least = p_value(draws["smallest_attainable_p"])
        yield Definition(
            "Permutation",
            f"{number}{draws['number']:,} relabellings{seed}: {draws['method']}; smallest attainable p {least}",
        )
    if block.get("variance"):
        yield Definition("Variances", variances(block["variance"]))


def _is_formula(block: Block) -> bool:
    """Whether the analysis is a formula and a test, not a named effect."""
    return bool(block["effect"].get("formula"))


def _formula(results: Findings) -> Iterator[Definition]:
    """What of a formula was tested, in words and in coefficients, and how its terms are coded."""
    model = results.block["model"]
    sums = [
        f"{effect}: {sum_}" for effect, sum_ in zip(model["tested_effects"], model["test_in_coefficients"], strict=True)
    ]
    null = "all are zero" if results.is_joint else "it is zero"
    yield Definition("Test, in coefficients", f"{'; '.join(sums)}. Null hypothesis: {null}; {results.degrees}")
    if model["coding"]:
        maps = set(model["maps"])
        numbers = [
            name
            for name in model["tested_model"]["columns"]
            if name != "intercept" and "[" not in name and name not in maps
        ]
        centred = f". Centred at the mean: {listed(numbers)}" if numbers else ""
        yield Definition("Coding", "; ".join(model["coding"]) + centred)
    if model["random"]:
        yield Definition("Random effects", listed(model["random"]))
    if model["maps"]:
        yield Definition("Maps as regressors", _maps(results.block))


def _maps(block: Block) -> str:
    """The maps whose values at each voxel are terms, and the voxels that they cost."""
    lost = block["search_volume"].get("lost_to_terms") or {}
    words = [
        f"{name} (which excludes {count(lost[name], 'voxel')})" if lost.get(name) else name
        for name in block["model"]["maps"]
    ]
    return f"{listed(words)}: the value at each voxel, centred at its mean over participants"


def _statistics(results: Findings) -> Iterator[Definition]:
    tests = results.block["tests"]
    voxel, cluster = tests["voxel"], tests["cluster"]
    yield Definition("Voxel test", f"{voxel['statistic']}; critical {results.letter} {short(voxel.get('critical_t'))}")
    formed = f"formed at {fixed(cluster['forming_t'])} (p < {cluster['forming_p']:g}, {cluster['forming_p_meaning']})"
    critical = f"critical extent {short(cluster.get('critical_extent_voxels'))} voxels"
    yield Definition(
        "Cluster test", f"{cluster['statistic']}; {formed}; {cluster['neighbours']} neighbours; {critical}"
    )
    if "mass" in tests:
        mass = tests["mass"]
        yield Definition("Mass test", f"{mass['statistic']}; critical mass {short(mass.get('critical_mass'))}")
    if "tfce" in tests:
        enhanced = tests["tfce"]
        yield Definition(
            "TFCE",
            f"{enhanced['statistic']}; E {short(enhanced['extent_power'])}, H {short(enhanced['height_power'])}, "
            f"{enhanced['neighbours']} neighbours, of {enhanced['scale']}; critical value {short(enhanced.get('critical_tfce'))}",
        )


def _fields(block: Block) -> Iterator[Definition]:
    """What the p of random fields rest on."""
    fields = block.get("random_fields")
    if not fields or fields["status"] != "known":
        return
    doubts = f"; caution: {listed(fields['doubts'])}" if fields["doubts"] else ""
    sizes = " x ".join(fixed(size, 1) for size in fields["fwhm_voxels"])
    if block.get("within"):
        sizes += " (estimated over the whole brain)"
    yield Definition("Random fields", f"smoothness {sizes} voxels, {fixed(fields['resels'][3], 0)} resels{doubts}")
    if "p_set" in fields:
        chance = f"{fields['clusters']} or more clusters by chance: {p_words(fields['p_set'])} (random fields)"
        yield Definition("Set of clusters", chance)


def _error_rates(results: Findings) -> Iterator[Definition]:
    tests = results.block["tests"]
    rate = tests.get("false_discovery")
    if rate:
        largest = "no voxel"
        if rate["critical_p"] is not None:
            largest = f"{count(rate['voxels'], 'voxel')}, with uncorrected p up to {rate['critical_p']:.2g},"
        yield Definition("False discovery rate", f"{largest} at q \u2264 {rate['level']:g} ({rate['method']})")
    sides = "either direction" if results.is_joint else "two-sided" if tests["two_sided"] else "one-sided"
    yield Definition("Error rate", f"{results.alpha:g} {tests['correction']}; {sides}")


def variances(block: Block) -> str:
    """How far the arms' residual variances differ, in words."""
    low, high = block["ratio_range"]
    return (
        f"ratio of residual variances, {block['larger']} to {block['smaller']}: {short(block['ratio'])} (median over voxels; 5th to "
        f"95th percentile {short(low)} to {short(high)}); {100 * block['beyond']:.0f} % of voxels exceed the limit that 5 % would "
        "exceed if the variances were equal"
    )
