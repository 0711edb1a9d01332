"""Which keys of a region's settings say how it is read rather than what it is. Light, because the plan needs it too."""

READING = ("statistic", "space")
