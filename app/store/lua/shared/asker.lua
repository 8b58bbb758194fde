-- Why whoever asks may do nothing here, or nothing where it may: a key is checked, an operator's tenant must be there.
local function why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
  if by_operator == 0 then return why_refused(epoch, epoch_id, tenant, key, now_ms) end
  if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
  local state = redis.call('HGET', tenant, 'state')
  if not state or state == 'deleted' then return 'tenant_not_found' end
end
local function note_act(audit, entry) if entry ~= '' then redis.call('XADD', audit, '*', 'entry', entry) end end
