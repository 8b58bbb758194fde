-- Admit one create: key, idempotency, model, rate, slot or place in the queue, credit hold, record; all or nothing.
-- USES bucket identity limits record
-- KEYS epoch marks tenant key idem rate key_rate slots key_slots queue day month task request ledger story sends dispatch
-- KEYS all_list all_of_model open_list open_of_model
-- ARGV now_ms:int epoch_id marks_kept:int seen_number:int seen_mark task_id tenant_id key_id family mode model subject callback vendor_key hold:int price_known:int recover_ms:int
-- ARGV keyed:int fingerprint lease_ms:int idem_name day_name month_name head tail queued_head queued_tail
-- ARGV request_body usage_ttl_ms:int look_ms:int queue_member
-- RETURNS {'admitted', group, rates, mark} | {'queued', group, rates, mark, position} | {'replayed', task, answer, rates}
-- RETURNS {'unanswered', task} | {'refused', reason, wait_ms} | {'set_back'}
local function refuse(reason, wait_ms) return {'refused', reason, wait_ms or 0} end
if is_foreign(epoch, epoch_id) then return refuse('store_foreign') end
if is_set_back(marks, marks_kept, seen_number, seen_mark) then return {'set_back'} end

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

-- A repeat of this very call, which has nothing else to be known by.
if keyed == 0 and redis.call('EXISTS', task) == 1 then return {'unanswered', task_id} end
local reason, wait_ms = why_barred(scopes, buckets, model, hold, price_known, now_ms)
if reason then return refuse(reason, wait_ms) end
local waiting, full = redis.call('ZCARD', queue), is_full(scopes)
local queued, why_not = waits(of_tenant, full, waiting)
reason = why_not or why_credits(scopes, day, month, hold, price_known)
if reason then return refuse(reason) end

use_up(buckets, key, of_key, hold)
for _, window in ipairs({day, month}) do
  for _, suffix in ipairs({'', ':' .. family, '@' .. model}) do
    redis.call('HINCRBY', window, 'held' .. suffix, hold)
    redis.call('HINCRBY', window, 'tasks' .. suffix, 1)
  end
  redis.call('PEXPIREAT', window, now_ms + usage_ttl_ms)
end
local group = of_tenant.group or 'default'
local place = redis.call('HINCRBY', tenant, 'queue_places', 1)
local body = queued and queued_head .. group .. queued_tail or head .. group .. tail
redis.call('HSET', task, 'id', task_id, 'tenant', tenant_id, 'key', key_id, 'mode', mode, 'model', model,
  'state', queued and 'queued' or 'sending', 'version', 1, 'created_ms', now_ms, 'held', hold, 'day', day_name,
  'month', month_name, 'idem', idem_name, 'group', group, 'body', body, 'reads', 0, 'place', place,
  'subject', subject, 'callback', callback, 'vendor_key', queued and '' or vendor_key)
redis.call('SET', request, request_body)
redis.call('RPUSH', ledger, string.format('%.0f hold %.0f', now_ms, hold))
tell(story, now_ms, queued and 'queued' or 'sending', queued and '' or vendor_key)
if queued then
  redis.call('ZADD', queue, place, task_id)
  redis.call('ZADD', dispatch, 'NX', look_ms, queue_member)
  -- With a slot for it, it waits behind others only: perhaps for a slot of their key, or for a vendor that is away.
  local away = now_ms < tonumber(of_tenant['vendor_away_ms:' .. mode] or 0)
  if not full and not away then redis.call('ZADD', dispatch, 'XX', now_ms, queue_member) end
else
  for _, scope in ipairs(scopes) do redis.call('SADD', scope.slots, task_id) end
  redis.call('ZADD', sends, recover_ms, task_id)
end
for _, list in ipairs({all_list, all_of_model, open_list, open_of_model}) do redis.call('ZADD', list, now_ms, task_id) end
if keyed == 1 then redis.call('HSET', idem, 'task_id', task_id, 'fingerprint', fingerprint, 'lease_ms', now_ms + lease_ms) end
local mark = add_mark(marks, marks_kept, now_ms, task_id)
return queued and {'queued', group, rates(), mark, waiting + 1} or {'admitted', group, rates(), mark}
