"""Where Snakemake has its copies of the scripts: it works that out three times for each job, from the text of an address."""

from typing import Any

# The method of Snakemake's cache that copies a source where there is no copy yet, and says where it lies.
_FIND = "_cache"


def remember(cache: Any) -> None:
    """Have a cache of source files find the copy of a file on this machine once.

    Parameters
    ----------
    cache : snakemake.sourcecache.SourceCache
        Changed in place; left as it is where a version of Snakemake has no such method.
    """
    find = getattr(cache, _FIND, None)
    if find is None:
        return
    places: dict[str, Any] = {}

    def remembered(source: Any) -> Any:
        if not source.is_local:
            return find(source)
        path = source.get_path_or_uri(secret_free=True)
        if path not in places:
            places[path] = find(source)
        return places[path]

    setattr(cache, _FIND, remembered)
