-- Lead from a browser token's digest to its record, for as long as that is kept.
-- KEYS index
-- ARGV tenant_id token_id mode gone_ms:int
-- RETURNS 1
redis.call('HSET', index, 'tenant', tenant_id, 'key', token_id, 'mode', mode)
return redis.call('PEXPIREAT', index, gone_ms)
