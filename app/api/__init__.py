"""HTTP in, HTTP out: thin routes over the flows and the store."""
