"""Where the files lie that more than one rule, or a rule and the plan, name: each path is spelled here once."""

from dataclasses import dataclass

from pharmasl.files import bids


@dataclass(frozen=True)
class Paths:
    """Paths of outputs below the results' folder; any name may be a wildcard such as ``{roi}``.

    Attributes
    ----------
    root : str
        The results' folder.
    space : str
        Name of the template's space.
    """

    root: str
    space: str

    def contrast(self, visit: str, contrast: str, extension: str = ".nii.gz", **entities: str) -> str:
        """The map of a contrast at a visit (its stem), or what belongs to it."""
        label = bids.entity_label(contrast)
        return bids.derivative(
            self.root, visit, "statmap", extension, space=self.space, contrast=label, stat="effect", **entities
        )

    def clusters(self, analysis: str) -> str:
        """The labelled clusters of an analysis."""
        name = f"contrast-{bids.entity_label(analysis)}"
        return bids.derivative(f"{self.root}/group/{analysis}", name, "dseg", desc="clusters")

    def statistic(self, analysis: str, label: str, letter: str) -> str:
        """The map of an analysis' statistic, ``t`` or ``F``; the label is the analysis' own in the names of files."""
        return bids.derivative(f"{self.root}/group/{analysis}", f"contrast-{label}", "statmap", stat=letter)

    def participants(self, model: str) -> str:
        """What a model may look at of the participants' table."""
        return f"{self.root}/study/participants/{model}.tsv"

    def region_mask(self, roi: str) -> str:
        """The mask of a region on the template."""
        return f"{self.root}/rois/{roi}_mask.nii.gz"

    def region_definition(self, roi: str) -> str:
        """How a region was defined: the sidecar of its mask."""
        return f"{self.root}/rois/{roi}_mask.json"

    def region_values(self, roi: str) -> str:
        """A region's values in all contrast maps."""
        return f"{self.root}/rois/{roi}_values.tsv"

    def left_out(self, roi: str, name: str) -> str:
        """What is read of a region that was sought without each participant: ``values.tsv``, ``test.json`` ..."""
        return f"{self.root}/rois/{roi}_leftout_{name}"

    def repeatability(self, contrast: str, suffix: str, extension: str = ".nii.gz", **entities: str) -> str:
        """A file of the maps of a contrast's repeatability."""
        name = f"contrast-{bids.entity_label(contrast)}"
        return bids.derivative(f"{self.root}/repeatability", name, suffix, extension, **entities)

    def craving(self, name: str) -> str:
        """A file of the craving stage."""
        return f"{self.root}/craving/{name}"

    def endpoint(self, name: str, end: str) -> str:
        """A file of a clinical endpoint: ``scores.tsv``, ``model.tsv`` ..."""
        return f"{self.root}/endpoints/{name}_{end}"

    def sensitivity(self, name: str) -> str:
        """A file of the sensitivity analysis."""
        return f"{self.root}/sensitivity/{name}"

    def tidy(self, name: str, extension: str = "tsv") -> str:
        """The study's table for statistics programs, ``study_long`` or ``study_wide``, or its ``codebook``."""
        return f"{self.root}/tables/{name}.{extension}"

    @property
    def page(self) -> str:
        """The report."""
        return f"{self.root}/report/index.html"

    def citation(self, extension: str) -> str:
        """The methods text with its references, ``md``, ``html`` or ``tex``, or the references alone, ``bib``."""
        return f"{self.root}/report/CITATION.{extension}"

    @property
    def checklist(self) -> str:
        """The reporting checklist, filled in, beside the report."""
        return f"{self.root}/report/checklist.tsv"

    def scan_page(self, name: str) -> str:
        """The page of a scan, by its name."""
        return f"{self.root}/report/scans/{name}.html"

    @property
    def review_page(self) -> str:
        """The page on which all scans are rated."""
        return f"{self.root}/report/scans/index.html"

    @property
    def allocation_log(self) -> str:
        """The record of when the trial's own allocation was used."""
        return f"{self.root}/study/allocation_log.json"
