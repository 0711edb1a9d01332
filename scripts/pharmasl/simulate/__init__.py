"""A trial with known truth, written as a plain BIDS dataset; no other stage knows that it is simulated.

``regions`` say where effects are planted, ``trial`` how large they are in whom, ``anatomy`` makes heads, ``series`` makes
ASL runs of them, ``dataset`` writes both as BIDS, and ``comparison`` puts what was found beside what was planted.
"""
