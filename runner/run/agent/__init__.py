"""Control of the agent while it works: the driver, the transcript, the mailbox, and its session."""
