"""Profiles and the summary that every run ends with."""
