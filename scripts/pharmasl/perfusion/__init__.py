"""From a raw arterial spin labelling series to cerebral blood flow: realignment, coregistration, quantification."""
