"""Published experiments, run again: what was trained, what came out, and the paper's figures beside it."""
