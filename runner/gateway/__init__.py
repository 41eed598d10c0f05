"""The only door between a sandbox and the world: today to the harness's model, and to nothing else."""
