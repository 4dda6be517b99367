"""The whole job on an embedded world, and its report."""
