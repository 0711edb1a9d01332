"""Which installed packages need which."""

from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement


def needs(*names):
    """The distributions that these need, directly or not, themselves included, as pip would install them."""
    pending, complete = list(names), {}
    while pending:
        name = pending.pop()
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            continue
        if dist.name.lower() not in complete:
            complete[dist.name.lower()] = dist
            requirements = map(Requirement, dist.requires or ())
            pending += [each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    return complete.values()
