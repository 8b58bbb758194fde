"""The vendor: how it is asked, and what its answers and silences mean."""
