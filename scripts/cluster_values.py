"""Read each participant's mean of the contrast in every cluster of an analysis, at each of its sessions."""

from pharmasl.files import tables
from pharmasl.group import cluster_values
from pharmasl.group.cluster_values import Visit
from pharmasl.study import effect_words
from pharmasl.workflow.job import job


def several(paths):
    """A rule's files as a list, one by itself too."""
    return [paths] if isinstance(paths, str) else list(paths)


def main(snakemake):
    """Map the rule's files and params onto :func:`pharmasl.group.cluster_values.write`."""
    source, params = snakemake.input, snakemake.params
    block = tables.read_json(source.inference)
    arms = {row["participant_id"]: row.get("arm") for row in tables.read_table(source.participants)}
    visits = [
        Visit(participant_id=who, session_id=params.sessions[session] or None, arm=arms.get(who), path=path)
        for (session, who), path in zip(
            ((session, who) for session, members in params.participants.items() for who in members),
            [*several(source.baseline), *several(source.followup), *several(source.further)],
            strict=True,
        )
        if who in set(block["participants"])
    ]
    unit = effect_words.unit_of(block)
    cluster_values.write(snakemake.output.table, source.clusters, visits, contrast=block["contrast"], unit=unit)


if __name__ == "__main__":
    job(main, snakemake)
