"""The GitHub Action: what started a workflow -> decisions -> runs, shown where GitHub's people look."""
