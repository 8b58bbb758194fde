"""One file per story; the only place where store and vendor meet."""
