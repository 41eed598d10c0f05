"""The door to the harness's model: the key is added here, tokens and cost are metered, a budget holds."""
