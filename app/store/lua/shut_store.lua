-- Give what is named here another epoch: a shard's own, or the store's record of itself, which whoever starts compares.
-- KEYS named
-- ARGV epoch_id next_id
-- RETURNS 1 if it was given one, else 0
local is_record = redis.call('TYPE', named).ok == 'hash'
local found = is_record and redis.call('HGET', named, 'epoch') or not is_record and redis.call('GET', named)
if found ~= epoch_id then return 0 end
if is_record then redis.call('HSET', named, 'epoch', next_id) else redis.call('SET', named, next_id) end
return 1
