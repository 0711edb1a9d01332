"""What the tests of drawn studies are called in tables, and where they count."""

REGION, SHIFTED, PARCEL, VOXEL = "region", "shifted", "parcel", "voxel"
# Of whole searches the significant results are counted anywhere too: without an effect that is the error rate.
ANYWHERE = "_anywhere"
PLACE, BRAIN = "place", "brain"
