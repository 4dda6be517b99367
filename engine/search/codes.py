"""What became of a candidate cycle."""

NOTHING = 0  # no execution earns anything
FOUND = 1  # its best execution is known
UNSETTLED = 2  # not known yet, or only the general search can tell
