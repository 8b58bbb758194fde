-- Give a tenant another webhook secret; the one it had signs along until an instant.
-- KEYS epoch tenant audit
-- ARGV epoch_id secret until_ms entry
-- RETURNS 'rotated' | 'unknown' | 'store_foreign'
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
local found = redis.call('HMGET', tenant, 'state', 'webhook_secret')
if not found[1] or found[1] == 'deleted' then return 'unknown' end
if found[2] then redis.call('HSET', tenant, 'webhook_secret_before', found[2], 'webhook_before_ms', until_ms) end
redis.call('HSET', tenant, 'webhook_secret', secret)
redis.call('XADD', audit, '*', 'entry', entry)
return 'rotated'
