-- Let a caller follow one of its tasks: what it shows, the place of that in the news, and whether nothing since is gone.
-- USES caller following
-- KEYS epoch tenant key news task queue
-- ARGV now_ms:int epoch_id task_id tenant_id mode subject last
-- RETURNS {'found', place, 1 if what was told after `last` is there, when the key ends or '', body, state, place in the queue or 0}
-- RETURNS {'unknown'} | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local found = redis.call('HMGET', task, 'tenant', 'mode', 'state', 'body', 'answered', 'subject')
if found[1] ~= tenant_id or found[2] ~= mode or (found[3] == 'rejected' and not found[5]) then return {'unknown'} end
if subject ~= '' and found[6] ~= subject then return {'unknown'} end
local resumes = last ~= '' and has_all_since(news, last, now_ms)
local rank = found[3] == 'queued' and redis.call('ZRANK', queue, task_id)
return {'found', newest_place(news, now_ms), resumes and 1 or 0, redis.call('HGET', key, 'expires_ms') or '', found[4], found[3],
  rank and rank + 1 or 0}
