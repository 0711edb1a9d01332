"""Files as they lie on disk: BIDS names, tables, contents, the mark of a blinded run."""
