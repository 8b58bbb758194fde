-- News of a task for whoever follows its tenant: 1,000 of them, for a day. A publication only wakes.
-- Tenant and mode are read from the stream's name.
local function tell_followers(stream, now_ms, task_id, event, subject, body)
  local day_ms = 86400000
  local tenant_id, mode = string.match(stream, ':news:(.+):(%a+)$')
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  -- An entry never goes before one that a faster clock has written.
  local at_ms = math.max(now_ms, last and tonumber(string.match(last[1], '^%d+')) or 0)
  redis.call('XADD', stream, 'MAXLEN', 1000, string.format('%.0f-*', at_ms),
    'task', task_id, 'event', event, 'subject', subject or '', 'body', body)
  redis.call('XTRIM', stream, 'MINID', string.format('%.0f', now_ms - day_ms))
  redis.call('PEXPIREAT', stream, at_ms + day_ms)
  redis.call('PUBLISH', 'rg:news', tenant_id .. ' ' .. mode .. ' ' .. task_id)
end
-- Receivers are known here alone, so their keys are named here: all of the stream's own shard.
-- A message for each endpoint that wants the event, and for the task's own address once it has ended.
local function enqueue(stream, hooks, deliveries, now_ms, task_id, event, body, callback)
  local kept_ms = 14 * 86400000
  local shard, tenant_id, mode = string.match(stream, '^(.-:)news:(.+):(%a+)$')
  local place, word = tenant_id .. ':' .. mode .. ':', string.match(event, '%a+$')
  local message_id = 'msg_' .. string.sub(task_id, -25) .. '_' .. word
  local message, expires_ms, wanted = shard .. 'message:' .. message_id, now_ms + kept_ms, false
  local function hand_to(target, is_on)
    wanted = true
    redis.call('ZADD', shard .. 'log:' .. place .. target, now_ms, message_id)
    redis.call('ZREMRANGEBYSCORE', shard .. 'log:' .. place .. target, '-inf', now_ms - kept_ms)
    redis.call('PEXPIREAT', shard .. 'log:' .. place .. target, expires_ms)
    if is_on then
      redis.call('ZADD', shard .. 'due:' .. place .. target, now_ms, message_id)
      redis.call('ZADD', deliveries, 'LT', now_ms, tenant_id .. ' ' .. mode .. ' ' .. target)
    else
      local delivery = shard .. 'delivery:' .. target .. ':' .. message_id
      redis.call('HSET', delivery, 'state', 'skipped')
      redis.call('PEXPIREAT', delivery, expires_ms)
    end
  end
  local listed = redis.call('HGETALL', hooks)
  for i = 1, #listed, 2 do
    if string.find(listed[i + 1], ',' .. event .. ',', 1, true) then
      hand_to(listed[i], string.sub(listed[i + 1], 1, 3) == 'on ')
    end
  end
  local target, url = string.match(callback or '', '^(%S+) (.+)$')
  if target and word ~= 'processing' then hand_to(target, true) end
  if not wanted then return end
  redis.call('HSET', message, 'event', event, 'task', task_id, 'created_ms', now_ms, 'body', body, 'url', url or '')
  redis.call('PEXPIREAT', message, expires_ms)
end
