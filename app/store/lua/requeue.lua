-- Put a task that was surely not created back into its queue, where its tenant wants that: to its place, or to the end.
-- USES record news
-- KEYS epoch tenant task slots key_slots queue story sends dispatch news
-- ARGV now_ms:int epoch_id task_id version:int body mode retry_ms:int yields:int queue_member why
-- RETURNS {'requeued', position} | {'refused'} | {'gone_on'} | {'store_foreign'}
if redis.call('GET', epoch) ~= epoch_id then return {'store_foreign'} end
local found = redis.call('HMGET', task, 'version', 'state', 'place', 'answered', 'subject')
local changes = tonumber(found[1] or 0) - version
-- A repeat, because no reply came, finds the task where it was put, or further on its way.
if changes == 1 and found[2] == 'queued' then return {'requeued', redis.call('ZRANK', queue, task_id) + 1} end
if changes == 1 and found[2] == 'in_doubt' then return {'refused'} end
if changes ~= 0 or found[2] ~= 'sending' then return {'gone_on'} end
local limits = redis.call('HMGET', tenant, 'when_vendor_down', 'max_queued')
if limits[1] ~= 'queue' then return {'refused'} end
-- Whoever was told 200 keeps that; a create that is still unanswered finds the queue full like any other.
if not found[4] and limits[2] and redis.call('ZCARD', queue) >= tonumber(limits[2]) then return {'refused'} end

local place = found[3] or 0
if yields == 1 then place = redis.call('HINCRBY', tenant, 'queue_places', 1) end
redis.call('HSET', tenant, 'vendor_away_ms:' .. mode, retry_ms)
redis.call('HINCRBY', task, 'tries', 1)

redis.call('HSET', task, 'state', 'queued', 'version', version + 1, 'body', body, 'vendor_key', '', 'place', place)
redis.call('HDEL', task, 'named', 'looked_ms', 'looks')
redis.call('SREM', slots, task_id)
redis.call('SREM', key_slots, task_id)
redis.call('ZREM', sends, task_id)
redis.call('ZADD', queue, place, task_id)
redis.call('ZADD', dispatch, retry_ms, queue_member)
tell(story, now_ms, 'requeued', why)
if found[4] then tell_followers(news, now_ms, task_id, 'task.pending', found[5], body) end
return {'requeued', redis.call('ZRANK', queue, task_id) + 1}
