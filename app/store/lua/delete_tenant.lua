-- End a tenant: its id stays taken, its keys open nothing any more. Its tasks go on and are settled.
-- KEYS epoch tenant tenants live_tasks test_tasks audit
-- ARGV epoch_id tenant_id now_ms force:int entry
-- RETURNS {'deleted', open} | {'open', open} | {'unknown'} | {'store_foreign'}
if redis.call('GET', epoch) ~= epoch_id then return {'store_foreign'} end
local state = redis.call('HGET', tenant, 'state')
if not state or state == 'deleted' then return {'unknown'} end
local open = redis.call('ZCARD', live_tasks) + redis.call('ZCARD', test_tasks)
if open > 0 and force == 0 then return {'open', open} end
redis.call('DEL', tenant)
redis.call('HSET', tenant, 'state', 'deleted', 'deleted_ms', now_ms)
redis.call('SREM', tenants, tenant_id)
redis.call('XADD', audit, '*', 'entry', entry)
return {'deleted', open}
