"""Power of a planned trial's maps: studies are drawn, tested as the study will be, and counted."""
