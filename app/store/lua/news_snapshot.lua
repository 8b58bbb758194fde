-- Say where the news stand, and which tasks come next in a list, the newest first: for someone who has missed some.
-- USES following
-- KEYS epoch news listed
-- ARGV now_ms:int epoch_id before skip:int limit:int
-- RETURNS {'found', place, task id, when it was created, ...} | {'refused', reason}
if redis.call('GET', epoch) ~= epoch_id then return {'refused', 'store_foreign'} end
local found = redis.call('ZRANGE', listed, before, '-inf', 'BYSCORE', 'REV', 'LIMIT', skip, limit, 'WITHSCORES')
return {'found', newest_place(news, now_ms), unpack(found)}
