import os

PORT = os.environ.get("APP_PORT", "80")
