"""How costs grow with a study: the plan, the start of a job, the test over the whole brain, the page.

    python benchmarks/scaling.py measure 50 200 500 2000     # writes docs/scaling.tsv
    python benchmarks/scaling.py draw                        # draws docs/scaling.svg from it

The plan and the start of a job are those of benchmarks/planning.py (two sessions, three states; CPU seconds above ``snakemake
--version``). The test over the whole brain is ``group_statistics``' function on maps at 2 mm with the settings' defaults (changes
by arm, clusters by extent, 5000 relabellings): reading, fit and relabellings, in a process of its own. Fifty maps of smooth noise are read again and
again, two a participant and never the same pair. The page is that of benchmarks/study_page.py. CPU seconds are user and system of all
processes, memory is the largest resident set. A study is measured whole before the next; one that is measured again replaces its rows.
"""

import argparse
import csv
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import planning
import skeleton

KEPT, FIGURE = ROOT / "docs/scaling.tsv", ROOT / "docs/scaling.svg"
PLAN, SCAN, STUDY, GROUP, PAGE = "plan", "job on a scan", "job on the study", "whole-brain test", "page"
COLUMNS = ("people", "work", "cpu_seconds", "megabytes")
# Maps, which all participants share, and the work of making them, which is not measured.
POOL, POOLED = 50, "maps"


@dataclass(frozen=True)
class Measured:
    """One row of the table.

    Attributes
    ----------
    people : int
    work : str
    cpu_seconds, megabytes : float
        Megabytes of memory; those of the page are its size.
    """

    people: int
    work: str
    cpu_seconds: float
    megabytes: float


def planned(folder, people):
    """A dry run and the starts of two jobs."""
    skeleton.dataset(folder / "data/bids", participants=people)
    floor = min(planning.cost([*planning.SNAKEMAKE, "--version"], folder).seconds for _ in range(3))
    plan = [*planning.SNAKEMAKE, "-s", str(ROOT / "Snakefile"), "--configfile", str(ROOT / "config/config.yaml")]
    dry = [*plan, "-n", "--quiet", "all"]
    if people <= 50:
        planning.cost(dry, folder)  # compiles what is imported
    costs = [planning.cost(dry, folder), *planning.starts(plan, folder, ROOT)]
    for work, taken in zip((PLAN, SCAN, STUDY), costs):
        yield Measured(people, work, taken.seconds - floor, taken.megabytes)


def child(folder, people, work):
    """This program again, as a process that does one kind of work."""
    taken = planning.cost([sys.executable, __file__, "one", str(people), work, str(folder)], folder)
    if work == PAGE:
        return Measured(people, work, *map(float, taken.text.splitlines()[-1].split()))
    return Measured(people, work, taken.seconds, taken.megabytes)


def pool(people, folder):
    """The mask and the maps of smooth noise that all participants share, whatever their number."""
    import group
    import numpy as np
    from pharmasl.space import images
    from scipy import ndimage

    mask, _ = group.data()
    affine, rng = np.diag([2.0, 2, 2, 1]), np.random.default_rng(1)
    images.save(folder / "mask.nii.gz", mask, affine, dtype=np.uint8)
    for number in range(POOL):
        noise = ndimage.gaussian_filter(rng.standard_normal(mask.shape, dtype=np.float32), 8 / 2.3548 / 2)
        values = np.where(mask, 50 + 6 * noise / noise[mask].std(), np.nan)
        images.save(folder / f"{number}.nii.gz", values.astype(np.float32), affine)


def tested(people, folder):
    """Test changes by arm in so many participants."""
    import complete_settings
    import numpy as np
    from pharmasl.files import tables
    from pharmasl.group import analysis
    from pharmasl.group.analysis_rows import InputFiles
    from pharmasl.group.definitions import Question
    from pharmasl.study import settings

    inference = complete_settings.plain_inference()
    asked = complete_settings.plain_analysis(
        inference=inference, effect="group_by_time", contrast="rest", covariates=["age"]
    )
    arms = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": []}
    rng, names = np.random.default_rng(2), [f"sub-{number:04d}" for number in range(people)]
    rows = [
        {"participant_id": name, "arm": ("baclofen", "placebo")[k % 2], "age": int(rng.integers(20, 60))}
        for k, name in enumerate(names)
    ]
    tables.write_table(folder / "participants.tsv", rows, dict.fromkeys(rows[0], ""))
    first = [str(folder / f"{k % POOL}.nii.gz") for k in range(people)]
    second = [str(folder / f"{(k + 1 + k // POOL) % POOL}.nii.gz") for k in range(people)]
    files = {name: str(folder / f"{name}_out.nii.gz") for name in (*analysis.MAPS, "mask", "clusters")}
    files |= {name: str(folder / f"{name}.tsv") for name in ("design", "null")}
    files["inference"] = str(folder / "inference.json")
    analysis.run(
        Question(
            analysis=settings.build(settings.Analysis, asked),
            arms=settings.build(settings.Arms, arms),
            sessions={"baseline": "T1", "followup": "T2"},
        ),
        InputFiles(
            baseline=first,
            followup=second,
            members={"baseline": names, "followup": names},
            participants=folder / "participants.tsv",
            template_mask=folder / "mask.nii.gz",
        ),
        SimpleNamespace(**files),
        statistic="t",
    )


def written(people, folder):
    """Write the page of a made-up trial, and print the CPU seconds that this takes and the page's megabytes."""
    from reported import make, write

    study = make(folder, people)
    start = time.process_time()
    write(study)
    print(time.process_time() - start, (study.here / "index.html").stat().st_size / 1e6)


def measure(numbers):
    """Measure studies of these sizes and write the table."""
    rows = {}
    if KEPT.exists():
        with KEPT.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                rows[int(row["people"]), row["work"]] = row
    with tempfile.TemporaryDirectory() as name:
        child(Path(name), max(numbers), POOLED)
        for people in numbers:
            with tempfile.TemporaryDirectory() as study:
                for taken in (
                    *planned(Path(study), people),
                    child(Path(name), people, GROUP),
                    child(Path(study), people, PAGE),
                ):
                    cells = (taken.people, taken.work, f"{taken.cpu_seconds:.2f}", f"{taken.megabytes:.1f}")
                    rows[people, taken.work] = dict(zip(COLUMNS, cells))
                    print(*cells, sep="\t", flush=True)
                    with KEPT.open("w") as file:
                        table = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
                        table.writeheader()
                        table.writerows(rows[key] for key in sorted(rows))


def draw():
    """Draw the table: seconds beside memory, a line for each kind of work."""
    from pharmasl.figures import panel, style
    from pharmasl.figures.parts import Note

    with KEPT.open() as file:
        rows = [
            Measured(int(row["people"]), row["work"], float(row["cpu_seconds"]), float(row["megabytes"]))
            for row in csv.DictReader(file, delimiter="\t")
        ]
    colours = {PLAN: style.BLUE, GROUP: style.GREEN, PAGE: style.PURPLE, STUDY: style.ORANGE, SCAN: style.MUTED}
    notes = [Note(mark="\u2500\u2500", text=work, colour=style.in_page(colour)) for work, colour in colours.items()]

    @style.styled
    def write():
        seconds = _lines("Time", "CPU seconds", [(one.people, one.work, one.cpu_seconds) for one in rows], colours)
        # A page has a size of its own, which is no memory.
        memory = [(one.people, one.work, one.megabytes) for one in rows if one.work != PAGE]
        panel.save([seconds, _lines("Memory", "Megabytes at most", memory, colours)], FIGURE, notes)

    write()
    # A page of any colour may show the picture, which has none behind it.
    FIGURE.write_text(FIGURE.read_text().replace("<svg ", '<svg style="background: #fff" ', 1))


def _lines(title, above, points, colours):
    """A panel of points (people, work, value) on logarithmic axes, with plain numbers at 1, 3, 10, 30 ..."""
    from pharmasl.figures.panel import Panel

    drawn = Panel(title=title, above=above, below="Participants", height=2.4)
    axes = drawn.axes
    for work, colour in colours.items():
        own = sorted((people, value) for people, name, value in points if name == work)
        axes.plot(*zip(*own), color=colour, linewidth=1.6, marker="o", markersize=4)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = [number * 10**power for power in range(-1, 5) for number in (1, 3)]
    low, high = axes.get_ylim()
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    people = sorted({number for number, _, _ in points})
    axes.set_xticks(people, [f"{number:,}" for number in people])
    axes.minorticks_off()
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("measure").add_argument("people", type=int, nargs="+")
    commands.add_parser("draw")
    one = commands.add_parser("one", help="what measure calls")
    one.add_argument("people", type=int)
    one.add_argument("work", choices=(POOLED, GROUP, PAGE))
    one.add_argument("folder", type=Path)
    asked = parser.parse_args()
    if asked.command == "measure":
        measure(asked.people)
    elif asked.command == "draw":
        draw()
    else:
        {POOLED: pool, GROUP: tested, PAGE: written}[asked.work](asked.people, asked.folder)


if __name__ == "__main__":
    main()
