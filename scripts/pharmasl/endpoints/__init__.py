"""Clinical endpoints: craving ratings, their scores, models and correlations with regional CBF."""
