-- Set and remove fields of a tenant, if it exists.
-- USES fields origins wake
-- KEYS epoch tenant origins audit
-- ARGV epoch_id set unset entry
-- RETURNS 'changed' | 'unknown' | 'store_foreign'; `unset` is names, each ended by a newline
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
local state = redis.call('HGET', tenant, 'state')
if not state or state == 'deleted' then return 'unknown' end
for field in string.gmatch(unset, '([^\n]+)\n') do redis.call('HDEL', tenant, field) end
set_fields(tenant, set)
list_origins(origins, tenant)
redis.call('XADD', audit, '*', 'entry', entry)
have_looked_at(tenant)
return 'changed'
