"""The only door between a sandbox and the world: to the harness's model, and to hosts that a skill names."""
