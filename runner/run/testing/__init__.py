"""Tests of skills: cases, their replay, and the verdict on what came out."""
