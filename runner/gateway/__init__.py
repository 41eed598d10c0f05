"""The gateway: the only way out of a sandbox, to the harness's model and to hosts that a skill names."""
