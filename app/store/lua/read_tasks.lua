-- Read several tasks for a caller; those that are not its own are left out.
-- USES caller
-- KEYS epoch tenant key queue tasks...
-- ARGV now_ms:int epoch_id tenant_id mode subject
-- RETURNS {'found', body, place in the queue or 0, ...} in the order asked | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local answer = {'found'}
for _, task in ipairs(tasks) do
  local found = redis.call('HMGET', task, 'tenant', 'mode', 'state', 'answered', 'body', 'id', 'subject')
  local is_hidden = (found[3] == 'rejected' and not found[4]) or (subject ~= '' and found[7] ~= subject)
  if found[1] == tenant_id and found[2] == mode and not is_hidden then
    local rank = found[3] == 'queued' and redis.call('ZRANK', queue, found[6])
    answer[#answer + 1] = found[5]
    answer[#answer + 1] = rank and rank + 1 or 0
  end
end
return answer
