-- Read one task for a caller: only an active key of the task's own tenant and mode sees it.
-- KEYS epoch tenant key task
-- ARGV now_ms:int epoch_id tenant_id mode
-- RETURNS {'found', body, state} | {'unknown'} | {'refused', reason}
if redis.call('GET', epoch) ~= epoch_id then return {'refused', 'store_foreign'} end
local of_key = redis.call('HMGET', key, 'state', 'expires_ms')
if of_key[1] ~= 'active' or (of_key[2] and now_ms >= tonumber(of_key[2])) then return {'refused', 'invalid_key'} end
if redis.call('HGET', tenant, 'state') ~= 'active' then return {'refused', 'tenant_disabled'} end
local found = redis.call('HMGET', task, 'tenant', 'mode', 'state', 'body', 'answered')
if found[1] ~= tenant_id or found[2] ~= mode or (found[3] == 'rejected' and not found[5]) then return {'unknown'} end
return {'found', found[4], found[3]}
