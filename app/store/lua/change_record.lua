-- Set and remove fields of a tenant or of one of its keys, if it exists.
-- KEYS epoch record
-- ARGV epoch_id set unset
-- RETURNS 'changed' | 'unknown' | 'store_foreign'; `set` is name, value, name, value, ... each ended by a newline
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
if redis.call('EXISTS', record) == 0 then return 'unknown' end
for field in string.gmatch(unset, '([^\n]+)\n') do redis.call('HDEL', record, field) end
for field, value in string.gmatch(set, '([^\n]+)\n([^\n]*)\n') do redis.call('HSET', record, field, value) end
return 'changed'
