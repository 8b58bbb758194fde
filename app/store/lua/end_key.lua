-- End a key and its browser tokens: now, or at an instant if that is sooner than their own end.
-- USES tokens wake
-- KEYS epoch tenant key tokens audit
-- ARGV epoch_id expires_ms entry
-- RETURNS 'ended' | 'unknown' | 'store_foreign'; an empty `expires_ms` means now and for good
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
local tenant_state, state = redis.call('HGET', tenant, 'state'), redis.call('HGET', key, 'state')
if not tenant_state or tenant_state == 'deleted' or not state then return 'unknown' end
if expires_ms == '' then
  redis.call('HSET', key, 'state', 'revoked')
else
  local before = redis.call('HGET', key, 'expires_ms')
  if not before or tonumber(before) > tonumber(expires_ms) then redis.call('HSET', key, 'expires_ms', expires_ms) end
end
end_tokens(key, tokens, tonumber(expires_ms))
redis.call('XADD', audit, '*', 'entry', entry)
have_looked_at(tenant)
return 'ended'
