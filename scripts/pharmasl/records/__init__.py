"""How the files of a results folder were made, and whether they are still as they were."""
