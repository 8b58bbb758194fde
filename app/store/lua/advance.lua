-- Move a task to its next state, with everything that follows from it: money, slot, schedules, lives.
-- USES record news
-- KEYS task request idem slots key_slots queue ledger story sends doubts polls dispatch retires day month audit
-- KEYS news webhooks deliveries all_list all_of_model open_list open_of_model closed_list closed_of_model cancelled_list cancelled_of_model
-- ARGV now_ms:int task_id version:int state body final:int charged:int due_ms:int family model keyed:int
-- ARGV event notice outcome retire_member task_expires_ms:int idem_expires_ms:int queue_member why entry
-- RETURNS {'advanced'} | {'stale', state}
local before = redis.call('HMGET', task, 'version', 'state', 'held', 'answered', 'subject', 'callback')
if tonumber(before[1]) ~= version then return {'stale', before[2] or ''} end

redis.call('HSET', task, 'state', state, 'body', body)
redis.call('HINCRBY', task, 'version', 1)
if state ~= before[2] then tell(story, now_ms, state, why) end
if entry ~= '' then redis.call('XADD', audit, '*', 'entry', entry) end
-- Refused before anybody was answered: there never was such a task.
local never_was = state == 'rejected' and not before[4]
if event ~= '' and not never_was then tell_followers(news, now_ms, task_id, event, before[5], body) end
if notice ~= '' and not never_was then enqueue(news, webhooks, deliveries, now_ms, task_id, notice, body, before[6]) end
local function free_slot()
  redis.call('SREM', slots, task_id)
  redis.call('SREM', key_slots, task_id)
  if redis.call('EXISTS', queue) == 1 then redis.call('ZADD', dispatch, now_ms, queue_member) end
end
redis.call('ZREM', sends, task_id)
redis.call('ZREM', doubts, task_id)
redis.call('ZREM', polls, task_id)
if final == 0 then
  if state == 'in_doubt' then
    redis.call('HSET', task, 'doubt_ms', now_ms)
    redis.call('ZADD', doubts, due_ms, task_id)
  elseif state == 'submitted' or state == 'watching' then
    redis.call('ZADD', polls, due_ms, task_id)
    redis.call('HINCRBY', task, 'reads', 1)
    -- Past its deadline a task is watched, and nobody else is kept waiting for it.
    if state == 'watching' and before[2] ~= state then free_slot() end
  end
  return {'advanced'}
end

local held = tonumber(before[3])
for _, window in ipairs({day, month}) do
  for _, suffix in ipairs({'', ':' .. family, '@' .. model}) do
    redis.call('HINCRBY', window, 'held' .. suffix, -held)
    redis.call('HINCRBY', window, 'settled' .. suffix, charged)
    if never_was then redis.call('HINCRBY', window, 'tasks' .. suffix, -1)
    else redis.call('HINCRBY', window, (outcome == 'completed' and outcome or 'failed') .. suffix, 1) end
  end
end
local function book(kind, amount) redis.call('RPUSH', ledger, string.format('%.0f %s %.0f', now_ms, kind, amount)) end
if charged > held then book('adjust', charged - held) end
if charged > 0 then book('settle', charged) end
if charged < held then book('release', held - charged) end
redis.call('HSET', task, 'held', 0, 'charged', charged, 'finished_ms', now_ms)
redis.call('HDEL', task, 'named', 'looked_ms', 'looks')
redis.call('ZREM', queue, task_id)
free_slot()
redis.call('DEL', request)
local created_ms = redis.call('HGET', task, 'created_ms')
for open, lists in pairs({[open_list] = {all_list, closed_list, cancelled_list},
  [open_of_model] = {all_of_model, closed_of_model, cancelled_of_model}}) do
  redis.call('ZREM', open, task_id)
  if never_was then redis.call('ZREM', lists[1], task_id) else redis.call('ZADD', lists[2], created_ms, task_id) end
  if outcome == 'cancelled' then redis.call('ZADD', lists[3], created_ms, task_id) end
end
if not never_was then redis.call('ZADD', retires, task_expires_ms, retire_member) end
redis.call('PEXPIREAT', task, task_expires_ms)
redis.call('PEXPIREAT', ledger, task_expires_ms)
redis.call('PEXPIREAT', story, task_expires_ms)
if keyed == 1 then
  -- An error is not remembered: the same key may create again, unless a 200 was given before.
  if never_was then redis.call('DEL', idem)
  else redis.call('PEXPIREAT', idem, idem_expires_ms) end
end
return {'advanced'}
