"""The agent while it works: driving it, its transcript, what people say to it, how its session goes on."""
