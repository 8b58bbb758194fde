-- Read what a caller's limits are and what was used in windows of its tenant.
-- USES caller
-- KEYS epoch tenant key windows...
-- ARGV now_ms:int epoch_id
-- RETURNS {'found', tenant, key, window, ...}, each as HGETALL gives it | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local answer = {'found', redis.call('HGETALL', tenant), redis.call('HGETALL', key)}
for _, window in ipairs(windows) do answer[#answer + 1] = redis.call('HGETALL', window) end
return answer
