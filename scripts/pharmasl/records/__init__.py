"""What a results folder was made of, and whether it still is that."""
