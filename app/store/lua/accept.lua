-- Record that the vendor has the task: its id, the answer, the first read; the answer sent first stays the answer.
-- USES record news
-- KEYS task request idem ledger story sends doubts polls day month audit news webhooks deliveries
-- ARGV now_ms:int task_id version:int vendor_id vendor_key_id held:int body poll_at_ms:int keyed:int family model event notice entry
-- RETURNS {'accepted', answer} | {'stale', state}; an operator, who leaves an `entry`, may put another id in place of one
local found = redis.call('HMGET', task, 'state', 'version', 'held', 'subject', 'callback')
local state, by_operator = found[1], entry ~= ''
local followed = state == 'submitted' or state == 'watching'
-- The vendor's yes holds whatever has been decided meanwhile, an operator's only what it was decided on.
if by_operator and tonumber(found[2] or 0) ~= version then return {'stale', state or ''} end
if state ~= 'sending' and state ~= 'in_doubt' and not (by_operator and followed) then return {'stale', state or ''} end

local more = held - tonumber(found[3])
if more ~= 0 then
  for _, window in ipairs({day, month}) do
    for _, suffix in ipairs({'', ':' .. family, '@' .. model}) do redis.call('HINCRBY', window, 'held' .. suffix, more) end
  end
  redis.call('RPUSH', ledger, string.format('%.0f adjust %.0f', now_ms, more))
end
-- What is watched goes on being watched: its slot is another's by now.
redis.call('HSET', task, 'state', state == 'watching' and state or 'submitted', 'vendor_id', vendor_id, 'vendor_key', vendor_key_id,
  'held', held, 'body', body, 'submitted_ms', now_ms, 'answered', 1)
redis.call('HINCRBY', task, 'version', 1)
redis.call('HDEL', task, 'named', 'looked_ms', 'looks')
tell(story, now_ms, 'submitted', vendor_id)
if entry ~= '' then redis.call('XADD', audit, '*', 'entry', entry) end
if event ~= '' then tell_followers(news, now_ms, task_id, event, found[4], body) end
if notice ~= '' then enqueue(news, webhooks, deliveries, now_ms, task_id, notice, body, found[5]) end
redis.call('DEL', request)
redis.call('ZREM', sends, task_id)
redis.call('ZREM', doubts, task_id)
redis.call('ZADD', polls, poll_at_ms, task_id)
if keyed == 1 and redis.call('HSETNX', idem, 'answer', body) == 0 then
  return {'accepted', redis.call('HGET', idem, 'answer')}
end
return {'accepted', body}
