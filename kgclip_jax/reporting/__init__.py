"""What people read of a run: its report, its comparison with others, the card of its model.

Tables of terminals and pages come from the same cells. Pages are single files that load nothing.
"""
