"""Where events come from: one package for each outside system that is heard."""
