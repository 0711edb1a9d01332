"""A trial with known truth, written as a plain BIDS dataset; no other stage knows that it is simulated.

``planted_regions`` has the places of the effects and ``virtual_trial`` their sizes in each participant;
``participant_anatomy`` makes heads and ``label_control_series`` ASL runs of them; ``dataset`` writes both as BIDS; and
``comparison`` compares the results of the workflow with the planted effects.
"""
