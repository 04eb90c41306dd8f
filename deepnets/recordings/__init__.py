"""Recordings of trainings: the protocol, and the runs that were trained here."""
