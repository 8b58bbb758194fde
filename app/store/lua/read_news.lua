-- Read what was told after a place, if nothing of it is gone.
-- USES following
-- KEYS epoch news
-- ARGV now_ms:int epoch_id after limit:int
-- RETURNS {'read', {id, {field, value, ...}}, ...} oldest first | {'trimmed'} | {'refused', reason}
if redis.call('GET', epoch) ~= epoch_id then return {'refused', 'store_foreign'} end
local found = redis.call('XRANGE', news, '(' .. after, '+', 'COUNT', limit)
if not has_all_since(news, after, now_ms) then return {'trimmed'} end
return {'read', unpack(found)}
