"""The report: content gathered from the results, laid out by a template that escapes every value."""

import re
from pathlib import Path, PurePath

import jinja2
import yaml

from pharmasl.conduct import flow
from pharmasl.files import blinding, tables
from pharmasl.report import (
    allocation_section,
    analyses_section,
    craving_section,
    left_out_section,
    methods_section,
    participants_section,
    pictures,
    quality_section,
    seeds_section,
    sensitivity_section,
    trial_section,
)
from pharmasl.study import primary

TEMPLATE = "page.html.j2"

# Values that are paths: folders name users, projects and machines, so only the last part is shown.
_PATH_KEYS = {"bids_dir", "output_dir", "participants_table", "table", "image", "labels", "truth_dir"}
_ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")


def without_paths(value, key=None):
    """Cut every path of a configuration to its last part.

    Parameters
    ----------
    value : dict, list, str or other
    key : str, optional
        Under which ``value`` stands.

    Returns
    -------
    Same type
    """
    if isinstance(value, dict):
        return {name: without_paths(entry, name) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(entry, key) for entry in value]
    if isinstance(value, str) and (key in _PATH_KEYS or _ABSOLUTE.match(value)):
        return PurePath(value.replace("\\", "/")).name
    return value


def _participants(paths, scans, people, unusable, config):
    rows = flow.read_flow(paths["participant_flow"][0]) if paths["participant_flow"] else []
    told = participants_section.section(scans, people, tables.read_table(paths["exclusions"]), unusable, config, rows)
    if told["flow"]:
        told["flow"]["figure"] = pictures.png(paths["flow_figure"][0])
    return told


def _craving(paths, config):
    if not paths["craving_model"]:
        return None
    rows = tables.read_table(paths["craving_model"][0])
    told = craving_section.model_sentences(rows, config["arms"])
    return {
        "role": primary.role(primary.declared(config), primary.CRAVING),
        "sentences": told,
        "table": craving_section.model_table(rows),
        "notes": craving_section.notes(rows),
        "figure": pictures.png(paths["craving_figure"][0]),
        "alt": "Cue-elicited craving by arm and session. " + " ".join(told),
        "diagnostics": pictures.png(paths["craving_diagnostics"][0]) if paths.get("craving_diagnostics") else None,
    }


def _relations(paths, config):
    if not paths["roi_craving"]:
        return None
    rows = tables.read_table(paths["roi_craving"][0])
    told = craving_section.relation_sentences(rows, config)
    tests = {
        Path(path).name.removesuffix(left_out_section.SUFFIX): tables.read_json(path)
        for path in paths["left_out_tests"]
    }
    return {
        "left_out": left_out_section.section(tests, config),
        "asked": craving_section.relation_words(rows, config),
        "sentences": told,
        "table": craving_section.relation_table(rows, False, config),
        "all": craving_section.relation_table(rows, True, config),
        "figure": pictures.png(paths["roi_figure"][0]) if paths["roi_figure"] else None,
        "alt": "Change of craving against change of CBF in each region. " + " ".join(told),
        "chosen": any(row["roi_defined_by_same_data"] == "true" for row in rows),
        "mediation": craving_section.mediation_table(tables.read_table(paths["craving_mediation"][0]))
        if paths.get("craving_mediation")
        else None,
    }


def _sensitivity(paths):
    if not paths.get("sensitivity_table"):
        return None
    return sensitivity_section.section(*(paths[f"sensitivity_{kind}"][0] for kind in ("table", "curve", "figure")))


def content(paths, *, title, analyses_names, conjunctions_names, config, versions, state):
    """Gather all that the page shows.

    Parameters
    ----------
    paths : dict
        ``scans``, ``participants``, ``exclusions``, ``quality``, ``quality_exclusions``, ``quality_figure``; lists ``participant_flow``, ``flow_figure``, ``scan_figures``,
        ``cbf_sidecars``, ``analyses_tables``, ``analyses_inference``, ``analyses_figures``, ``analyses_designs``, ``conjunctions``, ``seed_slopes``, ``left_out_tests``, ``craving_scores``,
        ``craving_model``, ``roi_craving``, ``trial_verdict``, ``craving_figure``, ``roi_figure``, ``sensitivity_table``, ``sensitivity_curve``, ``sensitivity_figure``, empty where the study does not ask.
    title : str
    analyses_names, conjunctions_names : list of str
        In the order of the lists.
    config, versions : dict
    state : dict
        Digests of ``code`` and ``configuration``.

    Returns
    -------
    dict
    """
    scans, people = tables.read_table(paths["scans"]), tables.read_table(paths["participants"], of_arms=True)
    kinds = ("tables", "inference", "figures", "designs")
    groups = zip(analyses_names, *(paths[f"analyses_{kind}"] for kind in kinds), strict=True)
    found = [analyses_section.section(*group, config) for group in groups]
    inference = {section["name"]: section.pop("inference") for section in found}
    verdict = trial_section.section(paths["trial_verdict"])
    for section in found:
        section["role"] = primary.role(primary.declared(config), section["name"])
    sidecars = [tables.read_json(path) for path in paths["cbf_sidecars"]]
    mood, relations = _craving(paths, config), _relations(paths, config)
    slopes = seeds_section.section([row for path in paths["seed_slopes"] for row in tables.read_table(path)])
    curves = _sensitivity(paths)
    clean = without_paths(config)
    text = methods_section.paragraphs(clean, scans, sidecars, inference, bool(mood), bool(relations), versions)
    if curves:
        text.insert(len(text) - 1, curves["method"])  # before the software
    judged, unusable = tables.read_table(paths["quality"]), tables.read_table(paths["quality_exclusions"])
    sections = [("trial", "The verdict of the trial")] if verdict["table"] else []
    sections += [("participants", "Participants and scans"), ("quality", "Image quality")]
    sections += [(f"analysis-{k}", section["heading"]) for k, section in enumerate(found, start=1)]
    sections += [("seeds", "Regional change with a seed's change, by arm")] if slopes else []
    sections += [("craving", "Cue-elicited craving")] if mood else []
    sections += [("relations", "Regional perfusion and craving")] if relations else []
    sections += [("sensitivity", "Sensitivity to the choices of the analysis")] if curves else []
    sections += [("methods", "Methods"), ("provenance", "Provenance")]
    return {
        "title": title,
        "blinded": f"{blinding.MARK}: {blinding.TEXT}" if config.get("blinded") else None,
        "allocation": [line for path in paths["allocation_log"] for line in allocation_section.sentences(path)],
        "sections": {anchor: (number, heading) for number, (anchor, heading) in enumerate(sections, start=1)},
        "verdict": quality_section.verdict(judged),
        "participants": _participants(paths, scans, people, unusable, config),
        "quality": quality_section.section(judged, people, paths["quality_figure"], paths["scan_figures"], config),
        "trial": verdict,
        "analyses": found,
        "conjunctions": [
            analyses_section.conjunction(name, path)
            for name, path in zip(conjunctions_names, paths["conjunctions"], strict=True)
        ],
        "seeds": slopes,
        "craving": mood,
        "relations": relations,
        "sensitivity": curves,
        "methods": text,
        "versions": versions,
        "state": state,
        "config": yaml.safe_dump(clean, sort_keys=False, allow_unicode=True, width=110),
    }


def render(values):
    """The page as text; every value is escaped, and a missing one is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(values)


def write(output, paths, **settings):
    """Write the report; parameters as :func:`content`, ``output`` the HTML file."""
    Path(output).write_text(render(content(paths, **settings)), encoding="utf-8")
