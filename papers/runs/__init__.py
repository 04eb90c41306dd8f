"""Papers on disk, their experiments run once each, and what makes a result stale."""
