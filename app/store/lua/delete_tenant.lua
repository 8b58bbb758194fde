-- End a tenant: its id stays taken, its keys open nothing any more. Its tasks go on and are settled.
-- USES wake
-- KEYS epoch tenant tenants origins live_tasks test_tasks live_webhooks test_webhooks audit
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
redis.call('HDEL', origins, tenant_id)
-- Endpoints go with their secrets; what was due for them is dropped when its turn comes.
local endpoint = string.gsub(tenant, ':tenant:', ':webhook:', 1)
for _, webhooks in ipairs({live_webhooks, test_webhooks}) do
  for _, id in ipairs(redis.call('HKEYS', webhooks)) do redis.call('DEL', endpoint .. ':' .. id) end
  redis.call('DEL', webhooks)
end
redis.call('XADD', audit, '*', 'entry', entry)
have_looked_at(tenant)
return {'deleted', open}
