-- Return what a receiver was to be told, newest first: of a part of its log what is asked for, from one of them on.
-- USES caller asker webhook delivery
-- KEYS epoch tenant key webhook due log
-- ARGV now_ms:int epoch_id by_operator:int mode target first:int last:int status event skip:int most:int
-- RETURNS {'found', size of the log, count of all that is asked for, {message, state, ..., {attempt, ...}}, ...}
-- RETURNS {'unknown'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
local shard, count = string.match(log, '^(.-:)log:'), 0
local answer = {'found', redis.call('ZCARD', log), 0}
for _, id in ipairs(redis.call('ZREVRANGE', log, first, last)) do
  local found = delivery_of(shard, target, due, id)
  if found and (status == '' or found[2] == status) and (event == '' or found[6] == event) then
    count = count + 1
    if count > skip and count <= skip + most then answer[#answer + 1] = with_attempts(shard, target, found) end
  end
end
answer[3] = count
return answer
