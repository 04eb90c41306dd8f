"""Verdicts as sentences, tables and pages, and what is published with the package."""
