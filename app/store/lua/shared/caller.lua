-- Why a caller may do nothing at this instant, or nothing where it may: the store, its key or its tenant is not what it was.
local function why_refused(epoch, epoch_id, tenant, key, now_ms)
  if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
  local of_key = redis.call('HMGET', key, 'state', 'expires_ms')
  if of_key[1] ~= 'active' or (of_key[2] and now_ms >= tonumber(of_key[2])) then return 'invalid_key' end
  local state = redis.call('HGET', tenant, 'state')
  if state == 'disabled' then return 'tenant_disabled' end
  if state ~= 'active' then return 'invalid_key' end
end
