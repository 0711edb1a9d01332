"""What each whole-brain analysis found, in words, a table and its figure."""

from pharmasl.figures import findings
from pharmasl.files import tables
from pharmasl.group import verdict
from pharmasl.report import pictures
from pharmasl.report.words import MISSING, Table, count, fixed, listed, p_value, p_words, plain, short, signed, upper
from pharmasl.study.effect_kinds import KINDS

SHOWN = 10  # clusters in the table that is always open


def direction(found, row):
    """How the effect of a cluster reads, its sign in words."""
    kind = KINDS[found.inference["effect"]["name"]]
    return kind.finding(found.inference, size=float(row["effect_mean"]), positive=row["sign"] == "+")


def could_not(found):
    """That an analysis could not have been significant, in a sentence; empty where it could."""
    if found.verdict["can_reach_alpha"]:
        return ""
    return (
        f"This analysis could not have been significant: the smallest p that its {found.inference['permutation']['number']:,} "
        f"relabellings allow is {p_value(found.verdict['smallest_attainable_p'])}, above {found.alpha:g}. It says nothing for "
        "or against an effect."
    )


def sentences(found, sessions):
    """Say what was found: sign, place, size and p of each significant cluster, or that there is none."""
    if not found.ran:
        return [f"This analysis was {found.status}."]
    if reason := could_not(found):
        return [reason]
    significant = found.significant()
    outside = outside_clusters(found)
    if not significant and not outside:
        text = f"No cluster was significant at {found.level} by {found.decides}."
        if found.clusters:
            row = min(found.clusters.values(), key=lambda row: float(row["p_verdict"]))
            text += (
                f" The nearest lay at {findings.place(row)}, {count(int(row['size_voxels']), 'voxel')}, "
                f"{deciding_p(found, row)}."
            )
        return [f"{text} Absence of evidence is no evidence of absence."]
    when = f"From {sessions['baseline']} to {sessions['followup']}, in" if sessions else "In"
    told = []
    for row in list(significant.values())[:SHOWN]:
        told.append(
            f"{when} a cluster of {count(int(row['size_voxels']), 'voxel')} ({float(row['volume_mm3']) / 1000:.1f} mL) at "
            f"{findings.place(row)}, {direction(found, row)}{size(row)}: {deciding_p(found, row)} by {found.decides} "
            f"(t = {fixed(row['t'])} at the peak)."
        )
    if len(significant) > SHOWN:
        told.append(f"{len(significant) - SHOWN} more clusters are significant; the table has them.")
    told += outside
    # With the first sentence: it is what a result may be made of.
    told[0] += "".join(f" Mind: {text}." for text in found.inference.get("notes", []))
    return told


def outside_clusters(found):
    """That voxels are significant where no cluster was formed, as a list of no or one sentence."""
    number = found.verdict["voxels_outside_clusters"]
    if not number:
        return []
    return [
        f"{count(number, 'voxel is', 'voxels are')} significant at {found.level} by {found.decides} outside all clusters formed "
        f"at p < {found.inference['tests']['cluster']['forming_p']:g}; the map of the deciding p shows where."
    ]


def deciding_p(found, row):
    """The p (or q) of a cluster by the statistic that decides, in words."""
    words = p_words(row["p_verdict"])
    if found.verdict["error_rate"] == verdict.FALSE_DISCOVERY:
        return words.replace("p", "q", 1)
    return f"family-wise {words}"


# Of every size of an effect in a cluster.
CHOSEN = "an overestimate, as the same data chose the cluster"


def size(row):
    """The standardised effect of a cluster, where there is one, and what its size is worth."""
    if row.get("hedges_g") is None:
        return f" ({CHOSEN})"
    interval = f"95 % interval {fixed(row['hedges_g_low'])} to {fixed(row['hedges_g_high'])}"
    return f" (Hedges' g {fixed(row['hedges_g'])}, {interval}; {CHOSEN})"


# What decides, in the head of a column.
SHORT = {"voxel": "peak", "tfce": "TFCE", "any": "any, corrected", "false_discovery": "FDR"}


def clusters(found, unit, everything=False):
    """The cluster table: significant clusters and the largest others, or all."""
    significant = found.significant()
    kept = list(found.clusters) if everything else [k for k in found.clusters if k in significant or k <= SHOWN]
    rows, marked = [], set()
    for row in found.rows:
        cluster = int(row["cluster"])
        if cluster not in kept:
            continue
        if cluster in significant:
            marked.add(len(rows))
        first = row["peak"] == "1"
        rows.append(
            [
                str(cluster) if first else "",
                findings.region(row) or MISSING,
                *(fixed(value, 0) for value in findings.point(row)),
                "+" if row["sign"] == "+" else "\u2212",
                row["size_voxels"] if first else "",
                p_value(row["p_verdict"]) if first else "",
                p_value(row["p_fwe_cluster"]) if first else "",
                p_value(row.get("p_fwe_mass")) if first else "",
                p_value(row.get("p_rft_cluster")) if first else "",
                p_value(row["p_fwe_voxel"]),
                p_value(row.get("p_fwe_tfce")),
                p_value(row.get("q_fdr")),
                fixed(row["t"]),
                fixed(row["z_score"]),
                signed(row["effect"]),
                signed(row["effect_mean"]) if first else "",
                signed(row.get("hedges_g")) if first else "",
                (row.get("regions") or "").replace("_", " ") if first else "",
            ]
        )
    heads = [
        "Cluster",
        "Region at the peak",
        "x",
        "y",
        "z (mm)",
        "Sign",
        "Voxels",
        f"{'q' if found.verdict['error_rate'] == verdict.FALSE_DISCOVERY else 'p'} that decides ({SHORT.get(found.verdict['statistic'], found.verdict['statistic'])})",
        "p FWE, extent",
        "p FWE, mass",
        "p RFT, extent",
        "p FWE, peak",
        "p FWE, TFCE",
        "q FDR",
        "t",
        "z score",
        "Effect at peak",
        "Mean effect",
        "Hedges' g",
        "Regions",
    ]
    which = "All clusters" if everything else "Significant clusters (in bold) and the largest others"
    return Table(
        f"{which}; the p that decides first, the others are secondary; effect in {unit}",
        heads,
        rows,
        {1, len(heads) - 1},
        marked,
    )


def left_out(found):
    """How many of those who were to be analysed are not, in words."""
    lost = len(found.inference.get("excluded") or [])
    return f"; {count(lost, 'participant')} left out" if lost else ""


def tested(found):
    """What p means here: the definitions of the analysis, as pairs of term and text."""
    block = found.inference
    pairs = [("Effect", block["effect"]["meaning"])]
    if block.get("seed"):
        pairs.append(("Seed", f"{plain(block['seed']['roi'])}, contrast {block['seed']['contrast']}"))
    if not found.ran:
        return pairs
    model, volume, draws, tests = (block[key] for key in ("model", "search_volume", "permutation", "tests"))
    cluster, voxel = tests["cluster"], tests["voxel"]
    decides = f"{upper(found.decides)}, {found.level}; every other p of this analysis is secondary"
    pairs += [
        ("Decided by", decides),
        ("Participants", f"{found.people}{left_out(found)}; {short(model['df'])} degrees of freedom"),
        ("Model", f"{model['formula']}; {model['statistic']}"),
        (
            "Search volume",
            f"{volume['voxels']:,} of {volume['template_voxels']:,} template voxels of {' x '.join(short(s) for s in volume['voxel_size_mm'])} mm: {volume['definition']}",
        ),
    ]
    if draws:
        number = "all " if draws["exhaustive"] else ""
        seed = "" if draws["seed"] is None else f"; seed {draws['seed']}"
        pairs.append(
            (
                "Permutation",
                f"{number}{draws['number']:,} relabellings{seed}: {draws['method']}; smallest attainable p {p_value(draws['smallest_attainable_p'])}",
            )
        )
    if block.get("variance"):
        pairs.append(("Variances", variances(block["variance"])))
    pairs += [
        ("Voxel test", f"{voxel['statistic']}; critical t {short(voxel.get('critical_t'))}"),
        (
            "Cluster test",
            f"{cluster['statistic']}; formed at {fixed(cluster['forming_t'])} (p < {cluster['forming_p']:g}, {cluster['forming_p_meaning']}); {cluster['neighbours']} neighbours; critical extent {short(cluster.get('critical_extent_voxels'))} voxels",
        ),
    ]
    if "mass" in tests:
        pairs.append(
            ("Mass test", f"{tests['mass']['statistic']}; critical mass {short(tests['mass'].get('critical_mass'))}")
        )
    if "tfce" in tests:
        enhanced = tests["tfce"]
        pairs.append(
            (
                "TFCE",
                f"{enhanced['statistic']}; E {short(enhanced['extent_power'])}, H {short(enhanced['height_power'])}, {enhanced['neighbours']} neighbours, of {enhanced['scale']}; critical value {short(enhanced.get('critical_tfce'))}",
            )
        )
    fields = block.get("random_fields")
    if fields and fields["status"] == "known":
        doubts = f"; in doubt: {listed(fields['doubts'])}" if fields["doubts"] else ""
        sizes = " x ".join(fixed(each, 1) for each in fields["fwhm_voxels"])
        if block.get("within"):
            sizes += " (of the whole brain)"
        pairs.append(("Random fields", f"smoothness {sizes} voxels, {fixed(fields['resels'][3], 0)} resels{doubts}"))
        if "p_set" in fields:
            chance = f"{fields['clusters']} or more by chance: {p_words(fields['p_set'])} (random fields)"
            pairs.append(("Set of clusters", chance))
    rate = tests.get("false_discovery")
    if rate:
        largest = "no voxel"
        if rate["critical_p"] is not None:
            largest = f"{count(rate['voxels'], 'voxel')}, of uncorrected p up to {rate['critical_p']:.2g},"
        pairs.append(("False discovery rate", f"{largest} at q \u2264 {rate['level']:g} ({rate['method']})"))
    pairs.append(
        ("Error rate", f"{found.alpha:g} {tests['correction']}; {'two-sided' if tests['two_sided'] else 'one-sided'}")
    )
    return pairs


def variances(told):
    """How far the arms' residual variances differ, in words."""
    low, high = told["ratio_range"]
    return (
        f"residual variance of {told['larger']} over that of {told['smaller']}: {short(told['ratio'])} (median over voxels; 5 to "
        f"95 %: {short(low)} to {short(high)}); in {100 * told['beyond']:.0f} % of voxels beyond what equal variances give in 5 %"
    )


def notes(found, config):
    """What a reader has to keep in mind."""
    told = []
    for row in found.inference.get("excluded") or []:
        told.append(f"{row['participant_id']} does not enter: {row['reason']}.")
    if not found.ran:
        return told
    own = [*found.inference.get("notes", []), *found.inference["model"].get("notes", [])]
    told += [f"{upper(text)}.".replace("..", ".") for text in own]
    lost = {name: n for name, n in found.inference["search_volume"]["uncovered_voxels"].items() if n}
    if lost:
        worst = sorted(lost.items(), key=lambda item: -item[1])[:3]
        words = listed(f"{name} ({n:,})" for name, n in worst)
        told.append(f"Voxels that a participant's scans do not cover are lost to all; most by {words}.")
    seed = found.inference.get("seed")
    source = config.get("rois", {}).get(seed["roi"], {}) if seed else {}
    if "analysis" in source:
        told.append(
            f"The seed is cluster {source['cluster']} of the analysis {source['analysis']}, chosen by these data."
        )
    if source.get("space") == "native":
        told.append("The seed was read in each scan's own space, in its unsmoothed CBF.")
    return told


def conjunction(name, inference):
    """What several analyses have in common, in a sentence."""
    block = tables.read_json(inference)
    told = f"{plain(name).capitalize()} (an effect in each of {listed(map(plain, block['analyses']))}): "
    if block["status"] != "run":
        return f"{told}{block['status']}."
    if not block["significant_voxels"]:
        return f"{told}no voxel significant in every one, each by what decides it."
    where = ", ".join(fixed(value, 0) for value in block["peak_mm"])
    return (
        f"{told}{count(block['significant_voxels'], 'voxel is', 'voxels are')} significant in every one, each by what decides it "
        f"(family-wise p \u2264 {block['alpha']:g}); the highest at ({where})."
    )


def section(name, table, inference, figure, design, config):
    """The section of an analysis.

    Parameters
    ----------
    name : str
    table, inference, figure, design : path-like
    config : dict

    Returns
    -------
    dict
    """
    found = findings.Findings(table, inference)
    unit = found.inference["effect"]["unit"]
    told = sentences(found, config.get("sessions"))
    short_table = clusters(found, unit) if found.rows else None
    return {
        "name": name,
        "heading": found.question,
        "ran": found.ran,
        "sentences": told,
        "figure": pictures.png(figure),
        "design": pictures.png(design),
        "alt": f"{found.question}: t map on the template. " + " ".join(told[:2]),
        "table": short_table,
        "all": clusters(found, unit, True) if found.rows and len(found.clusters) > SHOWN else None,
        "tested": tested(found),
        "notes": notes(found, config),
        "inference": found.inference,
    }
