-- Record a new API key under its tenant; the index that leads to it is written afterwards.
-- KEYS epoch tenant key keys
-- ARGV now_ms:int epoch_id key_id name mode digest expires_ms limits
-- RETURNS 'issued' | 'unknown' | 'store_foreign'; an empty `expires_ms` means never
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
if redis.call('EXISTS', tenant) == 0 then return 'unknown' end
redis.call('HSET', key, 'id', key_id, 'name', name, 'mode', mode, 'state', 'active', 'digest', digest, 'created_ms', now_ms)
if expires_ms ~= '' then redis.call('HSET', key, 'expires_ms', expires_ms) end
for field, value in string.gmatch(limits, '([^\n]+)\n([^\n]*)\n') do redis.call('HSET', key, field, value) end
redis.call('SADD', keys, key_id)
return 'issued'
