-- Note a step of working off a doubt before it is taken: a resend, the end of its slot's time, a look at the vendor.
-- USES record
-- KEYS epoch tenant key task slots key_slots queue story doubts dispatch
-- ARGV now_ms:int epoch_id task_id version:int resend:int free:int next_ms:int queue_member
-- ARGV look_in_ms:int look_again_ms:int even_looks:int longest_again_ms:int
-- RETURNS {'noted', vendor_id to be asked about before anything is sent or '', 1 if it may be resent} | {'stale'}
-- RETURNS {'store_foreign'}
if redis.call('GET', epoch) ~= epoch_id then return {'store_foreign'} end
local found = redis.call('HMGET', task, 'version', 'state', 'named', 'looked_ms', 'looks')
if tonumber(found[1]) ~= version or found[2] ~= 'in_doubt' then return {'stale'} end
redis.call('HINCRBY', task, 'version', 1)

-- What notices named is asked about in turn, in the end ever more seldom: it may be made up.
local vendor_id, looks = '', tonumber(found[5] or 0)
local function wait_ms() return math.min(look_again_ms * 2 ^ math.max(0, looks - even_looks), longest_again_ms) end
if found[3] then
  local due_ms = found[4] and tonumber(found[4]) + wait_ms() or now_ms
  if look_in_ms == 0 and now_ms >= due_ms then
    local others
    vendor_id, others = string.match(found[3], '^(%S+) ?(.*)$')
    local turned = others == '' and vendor_id or others .. ' ' .. vendor_id
    looks = looks + 1
    redis.call('HSET', task, 'named', turned, 'looked_ms', now_ms, 'looks', looks)
    due_ms = now_ms + wait_ms()
  end
  next_ms = math.min(next_ms, math.max(due_ms, now_ms + look_in_ms))
end
redis.call('ZADD', doubts, next_ms, task_id)
-- A resend may create: for a tenant that was shut out, or by a key that was revoked, it must not.
local may_create = redis.call('HGET', tenant, 'state') == 'active' and not is_revoked(read(key))
if resend == 1 and (vendor_id ~= '' or not may_create) then resend = 0 end
if resend == 1 then
  tell(story, now_ms, 'resending', redis.call('HINCRBY', task, 'resends', 1))
end
if free == 1 then
  redis.call('HSET', task, 'slot_freed', 1)
  redis.call('SREM', slots, task_id)
  redis.call('SREM', key_slots, task_id)
  tell(story, now_ms, 'slot_freed')
  if redis.call('EXISTS', queue) == 1 then redis.call('ZADD', dispatch, now_ms, queue_member) end
end
return {'noted', vendor_id, resend}
