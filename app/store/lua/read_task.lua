-- Read one task for a caller: only an active key of the task's own tenant and mode sees it, a token only its subject's.
-- USES caller
-- KEYS epoch tenant key task queue
-- ARGV now_ms:int epoch_id task_id tenant_id mode subject
-- RETURNS {'found', body, state, vendor_id, place in the queue or 0, subject} | {'unknown'} | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local found = redis.call('HMGET', task, 'tenant', 'mode', 'state', 'body', 'answered', 'vendor_id', 'subject')
if found[1] ~= tenant_id or found[2] ~= mode or (found[3] == 'rejected' and not found[5]) then return {'unknown'} end
if subject ~= '' and found[7] ~= subject then return {'unknown'} end
local rank = found[3] == 'queued' and redis.call('ZRANK', queue, task_id)
return {'found', found[4], found[3], found[6] or '', rank and rank + 1 or 0, found[7] or ''}
