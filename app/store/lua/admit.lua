-- Admit one create: key, idempotency, model, rate, slot, credit hold, record, recovery time; all or nothing.
-- KEYS epoch tenant key idem rate key_rate slots key_slots day month task request ledger sends
-- ARGV now_ms:int epoch_id task_id tenant_id key_id mode model hold:int price_known:int recover_ms:int
-- ARGV keyed:int fingerprint lease_ms:int idem_name day_name month_name body_head body_tail request_body usage_ttl_ms:int
-- RETURNS {'admitted', group} | {'replayed', task, answer} | {'unanswered', task} | {'refused', reason, wait_ms}
local function refuse(reason, wait_ms) return {'refused', reason, wait_ms or 0} end
if redis.call('GET', epoch) ~= epoch_id then return refuse('store_foreign') end

local function read(name)
  local flat, found = redis.call('HGETALL', name), {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end
local of_tenant, of_key = read(tenant), read(key)
local ended = of_key.expires_ms and now_ms >= tonumber(of_key.expires_ms)
if of_key.state ~= 'active' or ended or not of_tenant.state then return refuse('invalid_key') end
if of_tenant.state ~= 'active' then return refuse('tenant_disabled') end

if keyed == 1 then
  local seen = redis.call('HMGET', idem, 'task_id', 'fingerprint', 'answer', 'lease_ms')
  if seen[1] then
    if seen[2] ~= fingerprint then return refuse('idempotency_conflict') end
    if seen[3] then return {'replayed', seen[1], seen[3]} end
    if now_ms < tonumber(seen[4]) then return refuse('idempotency_in_flight', 1000) end
    return {'unanswered', seen[1]}
  end
end

local scopes = {{limits = of_tenant, rate = rate, slots = slots, suffix = ''},
  {limits = of_key, rate = key_rate, slots = key_slots, suffix = ':' .. key_id}}
for _, scope in ipairs(scopes) do
  local limits = scope.limits
  if limits.models and not string.find(limits.models, ',' .. model .. ',', 1, true) then return refuse('model_not_allowed') end
  -- The bucket counts what was used, in 1/60000 of a create: it drains by N a millisecond for N a minute.
  local per_minute = tonumber(limits.creates_per_minute)
  if per_minute then
    local bucket = redis.call('HMGET', scope.rate, 'used', 'at_ms')
    -- A stored instant over a minute ahead was written by a clock that has since been set back.
    local last_ms = math.min(tonumber(bucket[2] or now_ms), now_ms + 60000)
    if bucket[2] and last_ms < tonumber(bucket[2]) then redis.call('HSET', scope.rate, 'at_ms', last_ms) end
    scope.at_ms = math.max(last_ms, now_ms)
    scope.used = math.max(0, tonumber(bucket[1] or 0) - (scope.at_ms - last_ms) * per_minute)
    local over = scope.used + 60000 - per_minute * 60000
    local drained_ms = scope.at_ms - now_ms + (per_minute > 0 and math.ceil(over / per_minute) or 60000)
    if over > 0 then return refuse('rate_limited', drained_ms) end
  end
  local most = tonumber(limits.tasks_in_flight)
  if most and redis.call('SCARD', scope.slots) >= most then return refuse('too_many_in_flight') end
  for window, limit in pairs({[day] = limits.credits_per_day, [month] = limits.credits_per_month}) do
    if price_known == 0 then return refuse('price_unknown') end
    local spent = redis.call('HMGET', window, 'held' .. scope.suffix, 'settled' .. scope.suffix)
    local total = tonumber(spent[1] or 0) + tonumber(spent[2] or 0) + hold
    if hold > 0 and total > tonumber(limit) then return refuse('credit_exhausted') end
  end
end

local group = of_tenant.group or 'default'
for _, scope in ipairs(scopes) do
  if scope.used then
    redis.call('HSET', scope.rate, 'used', scope.used + 60000, 'at_ms', scope.at_ms)
    redis.call('PEXPIREAT', scope.rate, scope.at_ms + 120000)
  end
  redis.call('SADD', scope.slots, task_id)
  for _, window in ipairs({day, month}) do
    redis.call('HINCRBY', window, 'held' .. scope.suffix, hold)
    redis.call('HINCRBY', window, 'tasks' .. scope.suffix, 1)
    redis.call('PEXPIREAT', window, now_ms + usage_ttl_ms)
  end
end
redis.call('HSET', task, 'id', task_id, 'tenant', tenant_id, 'key', key_id, 'mode', mode, 'model', model,
  'state', 'sending', 'version', 1, 'created_ms', now_ms, 'held', hold, 'day', day_name, 'month', month_name,
  'idem', idem_name, 'group', group, 'body', body_head .. group .. body_tail, 'reads', 0)
redis.call('SET', request, request_body)
redis.call('RPUSH', ledger, string.format('%.0f hold %.0f', now_ms, hold))
redis.call('ZADD', sends, recover_ms, task_id)
if keyed == 1 then redis.call('HSET', idem, 'task_id', task_id, 'fingerprint', fingerprint, 'lease_ms', now_ms + lease_ms) end
return {'admitted', group}
