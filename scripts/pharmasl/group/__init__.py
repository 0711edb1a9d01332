"""Group statistics: designs on within-person change, permutation inference, cluster tables."""
