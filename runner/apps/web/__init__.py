"""What is served over HTTP. FastAPI is imported only by who serves."""
