"""The harness's way to its model: adds the key, meters tokens and cost, and enforces the budget."""
