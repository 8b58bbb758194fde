-- Return one page of a list of task ids for a caller, newest first, and how many ids the list has.
-- USES caller
-- KEYS epoch tenant key ids
-- ARGV now_ms:int epoch_id first:int last:int
-- RETURNS {'found', total, id, ...} | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local answer = {'found', redis.call('ZCARD', ids)}
for _, id in ipairs(redis.call('ZREVRANGE', ids, first, last)) do answer[#answer + 1] = id end
return answer
