"""Pure decisions: nothing here knows the time, the network or the store."""
