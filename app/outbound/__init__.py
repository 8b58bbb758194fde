"""HTTP to addresses that tenants give: judged at each send, and trusted with nothing."""
