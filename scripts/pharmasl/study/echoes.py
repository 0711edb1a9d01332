"""Series of several echoes: which files are echoes of one, and which of them the configuration asks for."""

from collections.abc import Iterable, Mapping, Sequence

from pharmasl.files import bids

FIRST, WEIGHTED = "first", "weighted"
FIELD = "perfusion.echo"


def later(files: Iterable[bids.File]) -> list[bids.File]:
    """The images of which an earlier echo is there too: all entities but ``echo`` are alike."""
    files = list(files)
    groups: dict[tuple[tuple[str, str], ...], list[bids.File]] = {}
    for file in files:
        if "echo" in file.entities:
            groups.setdefault(_without_echo(file), []).append(file)
    first = {id(min(group, key=_number)) for group in groups.values()}
    return [file for file in files if "echo" in file.entities and id(file) not in first]


def of_series(files: Sequence[bids.File], asl: bids.File, choice: str | None) -> list[bids.File]:
    """The M0 images of a series' own echo or, by choice, of the first; all where nothing tells.

    Parameters
    ----------
    files : sequence of bids.File
    asl : bids.File
    choice : str or None
        ``perfusion.echo`` of the configuration.

    Returns
    -------
    list of bids.File
    """
    own = [file for file in files if file.index.get("echo") == asl.index.get("echo")]
    if own:
        return own
    return list(files) if choice is None else [file for file in files if file not in later(files)]


def together(dataset: bids.Dataset, image: bids.File) -> list[bids.File]:
    """The echoes of which an image is one, in their order: images beside it whose names differ by ``echo`` alone."""
    if "echo" not in image.entities:
        return [image]
    beside = dataset.images_beside(image, image.suffix)
    alike = [file for file in beside if "echo" in file.entities and _without_echo(file) == _without_echo(image)]
    return sorted(alike, key=_number)


def count(dataset: bids.Dataset, asl: bids.File) -> int:
    """How many echoes of a series the dataset has; 1 of one without ``echo`` in its name."""
    return len(together(dataset, asl))


def types_of_first(types: Sequence[str], times: Sequence[float]) -> list[str]:
    """The types of volumes, those of later echoes being taken out (``n/a``)."""
    least = min(times)
    return [kind if time == least else "n/a" for kind, time in zip(types, times)]


def _without_echo(file: bids.File) -> tuple[tuple[str, str], ...]:
    index: Mapping[str, str] = file.index
    return (*sorted((key, label) for key, label in index.items() if key != "echo"), ("suffix", file.suffix))


def _number(file: bids.File) -> tuple[int, str]:
    label = file.index["echo"]
    return (int(label), "") if label.isdigit() else (10**9, label)
