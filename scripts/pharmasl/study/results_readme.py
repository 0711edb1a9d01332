"""The README of the results' folder, for somebody who has nothing but the folder."""

import html
from collections.abc import Mapping
from typing import Any

from pharmasl import __version__

# Folders and files of the root, in the order in which a reader needs them; not every study has all.
CONTENTS: Mapping[str, str] = {
    "report/index.html": "**begin here**: the study's answers with figures, tables, methods and exclusions, in one file for any browser",
    "report/scans/index.html": "a page for each scan: what was acquired, registered and measured",
    "report/CITATION.html": "the methods text with references, also as Markdown, LaTeX and BibTeX",
    "tables/": "one table of the study, long and wide, with a codebook: for R, pandas, SPSS or a spreadsheet",
    "study/": "scans with every parameter and its source, participants, exclusions with their reasons, the flow of participants",
    "quality/": "measures of every scan, and what was excluded by which rule",
    "group/": "a folder for each analysis of the whole brain: effect, t or F, z, p; clusters with names; regions and parcels; design",
    "rois/, craving/, endpoints/": "values of regions, craving and clinical endpoints, and their models",
    "repeatability/": "maps of how far one person's values differ from baseline to follow-up",
    "trial/": "the primary answers, corrected together",
    "sensitivity/": "the same answers under every declared alternative",
    "sub-*/": "images of participants: anatomy, cerebral blood flow (CBF), contrasts of states; which of them, `outputs` of the "
    "study's configuration says",
    "template/": "the template and atlas on which maps are compared",
    "logs/, benchmarks/": "what each job said, and what it took",
    "manifest.json": "of every file: the inputs, code, settings and versions that made it, and its SHA-256",
}


def readme(content: Mapping[str, Any]) -> str:
    """The text, Markdown.

    Parameters
    ----------
    content : mapping
        ``title``, ``authors`` and ``license``, as :func:`pharmasl.study.results_dataset.description` takes them.
    """
    title = html.escape(" ".join(str(content["title"]).split()))
    declared = {"Authors": ", ".join(content["authors"]), "Licence": content["license"]}
    people = [f"{name}: {html.escape(str(value))}  " for name, value in declared.items() if value]
    rows = [f"| `{path}` | {what} |" for path, what in CONTENTS.items()]
    return "\n".join(
        [
            f"# {title}",
            "",
            *people,
            *([""] if people else []),
            f"Results of pharmasl {__version__}: cerebral blood flow of a trial, from arterial spin labelling to its answers. The folder",
            "follows BIDS (derivatives), so that pybids and other readers of BIDS open it.",
            "",
            "| what | |",
            "|---|---|",
            *rows,
            "",
            "A study has those of these that it asked for.",
            "",
            "- **Units.** CBF is in mL/100 g/min, unless a file's sidecar (`.json`) says otherwise.",
            "- **p values.** Maps named `stat-logp`, `stat-logpfwe` and `stat-logqfdr` hold -log10 p: 1.3 and more is p < 0.05.",
            "- **Missing.** `n/a` in tables (empty in CSV files), NaN or 0 outside the coverage in maps.",
            "- **Left and right** are the participant's own in coordinates; pictures say L and R.",
            "- **Blinded.** Files that are marked as blinded were made with a sham allocation, and say nothing about the treatment.",
            "- **Whole?** With the program, `./run verify FOLDER` tells whether every file is the one that was made.",
            "",
        ]
    )
