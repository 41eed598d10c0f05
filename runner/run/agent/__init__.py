"""The working agent: runs its harness, writes its transcript, delivers messages, and resumes its session."""
