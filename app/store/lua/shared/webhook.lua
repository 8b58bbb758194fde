-- A hash as name, value, ... where it is an endpoint of this mode; nothing where it is not.
local function endpoint_of(webhook, mode)
  if redis.call('HGET', webhook, 'mode') == mode then return redis.call('HGETALL', webhook) end
end
-- The line of the index that the scripts of tasks read, after a change of the endpoint.
local function index_endpoint(webhooks, webhook)
  local found = redis.call('HMGET', webhook, 'id', 'state', 'events')
  redis.call('HSET', webhooks, found[1], found[2] .. ' ' .. found[3])
end
-- Nothing more is sent to it; what was still to come counts as skipped from now on.
local function switch_off(webhooks, webhook, due, reason, now_ms)
  redis.call('HSET', webhook, 'state', 'off', 'off_reason', reason, 'off_ms', now_ms)
  redis.call('DEL', due)
  index_endpoint(webhooks, webhook)
end
