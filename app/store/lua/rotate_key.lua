-- Let a new key take the place of an active one, which ends with its browser tokens at an instant if not sooner.
-- USES fields tokens wake
-- KEYS epoch tenant old new keys tokens audit
-- ARGV epoch_id now_ms:int new_id fields ends_ms entry ending_entry
-- RETURNS 'rotated' | 'no_tenant' | 'no_key' | 'ended' | 'exists' | 'store_foreign'; an empty `ends_ms` means now, for good
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
local state = redis.call('HGET', tenant, 'state')
if not state or state == 'deleted' then return 'no_tenant' end
local found = redis.call('HMGET', old, 'state', 'expires_ms')
if not found[1] then return 'no_key' end
if found[1] ~= 'active' or (found[2] and now_ms >= tonumber(found[2])) then return 'ended' end
if redis.call('EXISTS', new) == 1 then return 'exists' end

set_fields(new, fields)
redis.call('SADD', keys, new_id)
redis.call('HSET', old, 'successor', new_id)
if ends_ms == '' then redis.call('HSET', old, 'state', 'revoked')
elseif not found[2] or tonumber(found[2]) > tonumber(ends_ms) then redis.call('HSET', old, 'expires_ms', ends_ms) end
end_tokens(old, tokens, tonumber(ends_ms))
redis.call('XADD', audit, '*', 'entry', entry)
redis.call('XADD', audit, '*', 'entry', ending_entry)
have_looked_at(tenant)
return 'rotated'
