-- Record a new API key under its tenant; the index that leads to it is written afterwards.
-- USES fields
-- KEYS epoch tenant key keys audit
-- ARGV epoch_id key_id fields entry
-- RETURNS 'issued' | 'unknown' | 'exists' | 'store_foreign'
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
local state = redis.call('HGET', tenant, 'state')
if not state or state == 'deleted' then return 'unknown' end
if redis.call('EXISTS', key) == 1 then return 'exists' end
set_fields(key, fields)
redis.call('SADD', keys, key_id)
redis.call('XADD', audit, '*', 'entry', entry)
return 'issued'
