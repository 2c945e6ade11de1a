"""What a row can only be told by its neighbours: repetitions, slips of the hand, returns, bots.

All rules look at the events of one user in one *slice* (bucket and period), in one order. A
slice is given the rows of its neighbours that lie within the rules' reach, so that what a rule
says of a row never depends on where a period ends; these copies are dropped afterwards.

``placing`` brings users together (Spark): in ``parcels``, which also say which slices look at a
row, of rows that come ``flat``. The rest is arithmetic on arrays: ``users`` numbers the users,
``order`` lays out their events, ``copies``, ``slips``, ``returns`` and ``days`` are the rules,
and ``verdicts`` writes what they say into the rows.
"""
