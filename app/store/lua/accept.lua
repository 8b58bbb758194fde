-- Record that the vendor has the task: its id, the answer, the first read; the answer sent first stays the answer.
-- KEYS task request idem ledger sends doubts polls day month
-- ARGV now_ms:int task_id vendor_id vendor_key_id held:int body poll_at_ms:int keyed:int family model
-- RETURNS {'accepted', answer} | {'stale', state}
local state = redis.call('HGET', task, 'state')
if state ~= 'sending' and state ~= 'in_doubt' then return {'stale', state or ''} end

local more = held - tonumber(redis.call('HGET', task, 'held'))
if more ~= 0 then
  for _, window in ipairs({day, month}) do
    for _, suffix in ipairs({'', ':' .. family, '@' .. model}) do redis.call('HINCRBY', window, 'held' .. suffix, more) end
  end
  redis.call('RPUSH', ledger, string.format('%.0f adjust %.0f', now_ms, more))
end
redis.call('HSET', task, 'state', 'submitted', 'vendor_id', vendor_id, 'vendor_key', vendor_key_id,
  'held', held, 'body', body, 'submitted_ms', now_ms, 'answered', 1)
redis.call('HINCRBY', task, 'version', 1)
redis.call('DEL', request)
redis.call('ZREM', sends, task_id)
redis.call('ZREM', doubts, task_id)
redis.call('ZADD', polls, poll_at_ms, task_id)
if keyed == 1 and redis.call('HSETNX', idem, 'answer', body) == 0 then
  return {'accepted', redis.call('HGET', idem, 'answer')}
end
return {'accepted', body}
