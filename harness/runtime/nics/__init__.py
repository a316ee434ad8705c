"""Taking this machine's own NICs for a real router, and giving them back as they were."""
