-- Create a tenant with its limits, unless one of that id exists.
-- KEYS epoch tenant tenants
-- ARGV now_ms:int epoch_id tenant_id name group limits
-- RETURNS 'added' | 'exists' | 'store_foreign'; `limits` is name, value, ... each ended by a newline
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
if redis.call('EXISTS', tenant) == 1 then return 'exists' end
redis.call('HSET', tenant, 'id', tenant_id, 'name', name, 'group', group, 'state', 'active', 'created_ms', now_ms)
for field, value in string.gmatch(limits, '([^\n]+)\n([^\n]*)\n') do redis.call('HSET', tenant, field, value) end
redis.call('SADD', tenants, tenant_id)
return 'added'
