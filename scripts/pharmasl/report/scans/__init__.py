"""A page for each scan, and the page on which all of them are looked through and rated. Neither knows an arm."""
