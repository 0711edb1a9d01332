"""What is made for other programs and other people: one table of the study with its codebook."""
