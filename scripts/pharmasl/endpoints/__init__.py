"""Clinical endpoints: craving and any other measure, their scores, models, missing values and correlations with regional CBF."""
