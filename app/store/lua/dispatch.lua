-- Take a queued task out of its queue to be sent, if its tenant and its key have a slot for it now.
-- Whoever repeats this as the same taker, because no reply came, is told that the task is its own.
-- USES identity limits record news
-- KEYS epoch marks tenant key slots key_slots queue task request story sends dispatch news
-- ARGV now_ms:int mode epoch_id marks_kept:int seen_number:int seen_mark task_id version:int vendor_key body recover_ms:int queue_member taker
-- RETURNS {'dispatched', request, mark}, a repeat without the mark | {'set_back'} | {'gone'} | {'store_foreign'}
-- RETURNS {'tenant_full'} | {'key_full'} | {'key_ended'} | {'vendor_away'} | {'paused'} | {'ended'}
if is_foreign(epoch, epoch_id) then return {'store_foreign'} end
if is_set_back(marks, marks_kept, seen_number, seen_mark) then return {'set_back'} end
local found = redis.call('HMGET', task, 'version', 'state', 'taker', 'subject', 'answered')
if found[2] == 'sending' and found[3] == taker then return {'dispatched', redis.call('GET', request) or ''} end
if tonumber(found[1]) ~= version or found[2] ~= 'queued' then
  if found[2] ~= 'queued' then redis.call('ZREM', queue, task_id) end
  return {'gone'}
end
local of_tenant = read(tenant)
if of_tenant.state == 'disabled' then return {'paused'} end
if of_tenant.state ~= 'active' then return {'ended'} end
if now_ms < tonumber(of_tenant['vendor_away_ms:' .. mode] or 0) then return {'vendor_away'} end
local of_key = read(key)
if is_revoked(of_key) then return {'key_ended'} end
if is_full({{limits = of_tenant, slots = slots}}) then return {'tenant_full'} end
if is_full({{limits = of_key, slots = key_slots}}) then return {'key_full'} end

redis.call('HSET', task, 'state', 'sending', 'version', version + 1, 'body', body, 'vendor_key', vendor_key, 'taker', taker)
redis.call('ZREM', queue, task_id)
redis.call('SADD', slots, task_id)
redis.call('SADD', key_slots, task_id)
redis.call('ZADD', sends, recover_ms, task_id)
tell(story, now_ms, 'sending', vendor_key)
-- Nobody hears of a task before its create was answered: it may still turn out never to have been.
if found[5] then tell_followers(news, now_ms, task_id, 'task.pending', found[4], body) end
-- One at a time: whoever else waits has its turn before this tenant's next.
if redis.call('EXISTS', queue) == 1 then redis.call('ZADD', dispatch, now_ms, queue_member)
else redis.call('ZREM', dispatch, queue_member) end
return {'dispatched', redis.call('GET', request) or '', add_mark(marks, marks_kept, now_ms, task_id)}
