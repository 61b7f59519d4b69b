"""Plans: what is computed where and in which order, one for all targets; they know no language."""
