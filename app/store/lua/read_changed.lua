-- Read those of several tasks of a caller that are unfinished, or have ended since an instant, and where the news stand.
-- USES caller following
-- KEYS epoch tenant key news queue tasks...
-- ARGV now_ms:int epoch_id tenant_id mode subject since_ms:int
-- RETURNS {'found', place, task id, body, place in the queue or 0, ...} in the order asked | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local answer = {'found', newest_place(news, now_ms)}
for _, task in ipairs(tasks) do
  local found = redis.call('HMGET', task, 'tenant', 'mode', 'state', 'answered', 'body', 'id', 'subject', 'finished_ms')
  local is_shown = found[1] == tenant_id and found[2] == mode and not (found[3] == 'rejected' and not found[4])
  if is_shown and (subject == '' or found[7] == subject) and tonumber(found[8] or now_ms) >= since_ms then
    local rank = found[3] == 'queued' and redis.call('ZRANK', queue, found[6])
    answer[#answer + 1] = found[6]
    answer[#answer + 1] = found[5]
    answer[#answer + 1] = rank and rank + 1 or 0
  end
end
return answer
