-- Let messages that were made for an endpoint be delivered again: one, or a page of those of a time.
-- USES caller asker webhook
-- KEYS epoch tenant key webhook deliveries due log audit
-- ARGV now_ms:int epoch_id by_operator:int mode webhook_id member message_id since_ms:int until_ms status most:int rounds:int entry
-- RETURNS {'redelivered', count, since when there may be more or '', count of those it was done to too often} | {'unknown'} | {'off'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
if redis.call('HGET', webhook, 'state') ~= 'on' then return {'off'} end
local shard, ids, more, count = string.match(log, '^(.-:)log:'), {message_id}, '', 0
local worn = 0
if message_id == '' then
  ids = redis.call('ZRANGEBYSCORE', log, since_ms, until_ms, 'LIMIT', 0, most)
  if #ids == most then
    -- All of one instant are on one page, so that the next page begins after it.
    local last_ms = redis.call('ZSCORE', log, ids[most])
    local before = redis.call('ZRANGEBYSCORE', log, since_ms, '(' .. last_ms)
    local tied = redis.call('ZRANGEBYSCORE', log, last_ms, last_ms)
    ids = before
    for _, id in ipairs(tied) do ids[#ids + 1] = id end
    more = string.format('%.0f', tonumber(last_ms) + 1)
  end
elseif not redis.call('ZSCORE', log, message_id) then ids = {} end
for _, id in ipairs(ids) do
  local delivery, due_ms = shard .. 'delivery:' .. webhook_id .. ':' .. id, redis.call('ZSCORE', due, id)
  local ends_ms = redis.call('PEXPIRETIME', shard .. 'message:' .. id)
  local found = redis.call('HMGET', delivery, 'state', 'turns', 'recorded', 'rounds')
  -- Neither failed nor delivered, and not to come any more: it was skipped.
  local state = found[1] or (due_ms and 'pending' or 'skipped')
  local is_meant = message_id ~= '' or status == 'all' or state == status or (status == '' and state ~= 'delivered')
  if is_meant and ends_ms > 0 and tonumber(found[4] or 0) >= rounds then
    worn = worn + 1
  elseif is_meant and ends_ms > 0 then
    count = count + 1
    redis.call('HINCRBY', delivery, 'rounds', 1)
    local under_way = due_ms and tonumber(due_ms) > now_ms and (found[2] or '0') ~= (found[3] or '0')
    -- What is under way at this moment need not go twice, if it arrives; its schedule begins anew all the same.
    if under_way then
      redis.call('HSET', delivery, 'anew', found[2])
    else
      redis.call('HSET', delivery, 'began', found[2] or 0)
      redis.call('ZADD', due, now_ms, id)
    end
    redis.call('HDEL', delivery, 'state', 'delivered_ms')
    redis.call('HSET', delivery, 'tries', 0)
    redis.call('PEXPIREAT', delivery, ends_ms)
  end
end
if count > 0 then redis.call('ZADD', deliveries, 'LT', now_ms, member) end
if count > 0 or message_id == '' then note_act(audit, entry) end
return {'redelivered', count, more, worn}
