"""What a job on a cluster asks for beside what its script takes: there, each job starts Snakemake, which reads the study anew."""

from dataclasses import dataclass

# A Snakemake that has read a small study holds some 155 MB. A job's own runs within one that was started by another, and in a
# group of rules each has one more.
_SNAKEMAKE = 3 * 160
# Of 2,000 people with 12,000 scans a Snakemake that reads all of them holds some 95 MB more than of four people.
_SCANS_A_MEGABYTE = 40
# Starting these takes seconds for a small study, up to a minute more by this number of scans.
_SCANS_A_MINUTE = 6000


@dataclass(frozen=True)
class Requests:
    """Memory and time of jobs, with those of their Snakemakes.

    Attributes
    ----------
    scans : int
        Number of the study's scans.
    """

    scans: int

    def memory(self, script: int) -> int:
        """Megabytes of a job.

        Parameters
        ----------
        script : int
            Megabytes of the rule's script.
        """
        return script + _SNAKEMAKE + self.scans // _SCANS_A_MEGABYTE

    def minutes(self, script: int) -> int:
        """Minutes of a job.

        Parameters
        ----------
        script : int
            Minutes of the rule's script.
        """
        return script + 1 + self.scans // _SCANS_A_MINUTE
