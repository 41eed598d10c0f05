"""Clients of outside programs and services: one module for each, and nothing else calls it."""
