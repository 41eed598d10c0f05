"""The Docker engine: its API, its images, and builds of images."""
