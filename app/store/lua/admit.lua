-- Admit one create: key, idempotency, model, rate, slot, credit hold, record, recovery time; all or nothing.
-- USES bucket
-- KEYS epoch tenant key idem rate key_rate slots key_slots day month task request ledger sends all_list all_of_model open_list open_of_model
-- ARGV now_ms:int epoch_id task_id tenant_id key_id family mode model hold:int price_known:int recover_ms:int
-- ARGV keyed:int fingerprint lease_ms:int idem_name day_name month_name body_head body_tail request_body usage_ttl_ms:int
-- RETURNS {'admitted', group, rates} | {'replayed', task, answer, rates} | {'unanswered', task} | {'refused', reason, wait_ms}
local function refuse(reason, wait_ms) return {'refused', reason, wait_ms or 0} end
if redis.call('GET', epoch) ~= epoch_id then return refuse('store_foreign') end

local function read(name)
  local flat, found = redis.call('HGETALL', name), {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end
local of_tenant, of_key = read(tenant), read(key)
local ended = of_key.expires_ms and now_ms >= tonumber(of_key.expires_ms)
local gone = not of_tenant.state or of_tenant.state == 'deleted'
if of_key.state ~= 'active' or ended or gone then return refuse('invalid_key') end
if of_tenant.state ~= 'active' then return refuse('tenant_disabled') end

local scopes, buckets, reads = {{limits = of_tenant, rate = rate, slots = slots, suffix = ''},
  {limits = of_key, rate = key_rate, slots = key_slots, suffix = ':' .. family}}, {}, -1
for _, scope in ipairs(scopes) do
  local per_minute, per_second = tonumber(scope.limits.creates_per_minute), tonumber(scope.limits.reads_per_second)
  if per_minute then buckets[#buckets + 1] = look_into(scope.rate, per_minute, 60000, now_ms) end
  if per_second then reads = reads < 0 and per_second or math.min(reads, per_second) end
end
-- The creates policy, then the lower limit of reads or -1.
local function rates() return {told(buckets, now_ms), reads} end

if keyed == 1 then
  local seen = redis.call('HMGET', idem, 'task_id', 'fingerprint', 'answer', 'lease_ms')
  if seen[1] then
    if seen[2] ~= fingerprint then return refuse('idempotency_conflict') end
    if seen[3] then return {'replayed', seen[1], seen[3], rates()} end
    if now_ms < tonumber(seen[4]) then return refuse('idempotency_in_flight', 1000) end
    return {'unanswered', seen[1]}
  end
end

for _, scope in ipairs(scopes) do
  local models = scope.limits.models
  if models and not string.find(models, ',' .. model .. ',', 1, true) then return refuse('model_not_allowed') end
end
for _, bucket in ipairs(buckets) do
  if bucket.left < 1 then return refuse('rate_limited', grows_in_ms(bucket, now_ms)) end
end
for _, scope in ipairs(scopes) do
  local most = tonumber(scope.limits.tasks_in_flight)
  if most and redis.call('SCARD', scope.slots) >= most then return refuse('too_many_in_flight') end
  for window, limit in pairs({[day] = scope.limits.credits_per_day, [month] = scope.limits.credits_per_month}) do
    if price_known == 0 then return refuse('price_unknown') end
    local spent = redis.call('HMGET', window, 'held' .. scope.suffix, 'settled' .. scope.suffix)
    local total = tonumber(spent[1] or 0) + tonumber(spent[2] or 0) + hold
    if hold > 0 and total > tonumber(limit) then return refuse('credit_exhausted') end
  end
end

for _, bucket in ipairs(buckets) do take_from(bucket, 1) end
for _, scope in ipairs(scopes) do redis.call('SADD', scope.slots, task_id) end
for _, window in ipairs({day, month}) do
  for _, suffix in ipairs({'', ':' .. family, '@' .. model}) do
    redis.call('HINCRBY', window, 'held' .. suffix, hold)
    redis.call('HINCRBY', window, 'tasks' .. suffix, 1)
  end
  redis.call('PEXPIREAT', window, now_ms + usage_ttl_ms)
end
local group = of_tenant.group or 'default'
redis.call('HSET', task, 'id', task_id, 'tenant', tenant_id, 'key', key_id, 'mode', mode, 'model', model,
  'state', 'sending', 'version', 1, 'created_ms', now_ms, 'held', hold, 'day', day_name, 'month', month_name,
  'idem', idem_name, 'group', group, 'body', body_head .. group .. body_tail, 'reads', 0)
redis.call('SET', request, request_body)
redis.call('RPUSH', ledger, string.format('%.0f hold %.0f', now_ms, hold))
redis.call('ZADD', sends, recover_ms, task_id)
for _, list in ipairs({all_list, all_of_model, open_list, open_of_model}) do redis.call('ZADD', list, now_ms, task_id) end
if keyed == 1 then redis.call('HSET', idem, 'task_id', task_id, 'fingerprint', fingerprint, 'lease_ms', now_ms + lease_ms) end
return {'admitted', group, rates()}
