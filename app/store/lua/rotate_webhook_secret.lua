-- Give a tenant another webhook secret; the one it had signs along until an instant.
-- USES secrets
-- KEYS epoch tenant audit
-- ARGV now_ms:int epoch_id secret until_ms:int entry
-- RETURNS 'rotated' | 'unknown' | 'store_foreign'
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
local state = redis.call('HGET', tenant, 'state')
if not state or state == 'deleted' then return 'unknown' end
local names = {'webhook_secret', 'webhook_secret_before', 'webhook_before_ms', 'webhook_secrets_older'}
rotate_secret(tenant, names, secret, now_ms, until_ms)
redis.call('XADD', audit, '*', 'entry', entry)
return 'rotated'
