-- Find the answer that an Idempotency-Key got before, for a caller that may still use it.
-- USES caller
-- KEYS epoch tenant key idem
-- ARGV now_ms:int epoch_id fingerprint
-- RETURNS {'replayed', task, answer} | {'nothing'} | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local seen = redis.call('HMGET', idem, 'task_id', 'fingerprint', 'answer')
if not seen[1] or not seen[3] then return {'nothing'} end
if seen[2] ~= fingerprint then return {'refused', 'idempotency_conflict'} end
return {'replayed', seen[1], seen[3]}
