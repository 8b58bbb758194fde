-- Heed a notice: hasten the read of a followed task; keep the id it names with one in doubt, or soon to be.
-- USES record
-- KEYS task polls doubts story guard
-- ARGV now_ms:int task_id vendor_id guard_ms:int look_again_ms:int most_kept:int
-- RETURNS {'soon'} | {'kept'} | {'look'} | {'later'} | {'nothing'}
local found = redis.call('HMGET', task, 'state', 'named', 'looked_ms', 'doubt_ms')
local state = found[1]
local followed = state == 'submitted' or state == 'watching'
-- A story tells of the first hundred; whoever knows the address might send any number.
local function tell_of_it()
  if redis.call('LLEN', story) < 100 then tell(story, now_ms, 'notice', vendor_id) end
end
if not followed and vendor_id == '' then return {'nothing'} end
if state == 'sending' or state == 'in_doubt' then
  -- The newest first, the oldest gives way. No new version: whoever works on the task is not disturbed.
  local kept, is_new = {vendor_id}, true
  for each in string.gmatch(found[2] or '', '%S+') do
    if each == vendor_id then is_new = false
    elseif #kept < most_kept then kept[#kept + 1] = each end
  end
  redis.call('HSET', task, 'named', table.concat(kept, ' '))
  if is_new then tell_of_it() end
  if state == 'in_doubt' then
    redis.call('HDEL', task, 'looks')
    local due_ms = math.max(now_ms, found[3] and tonumber(found[3]) + look_again_ms or 0)
    redis.call('ZADD', doubts, 'XX', 'LT', due_ms, task_id)
  end
  return {'kept'}
end
-- A doubt that was given up, by its deadline or by an operator, may have been given up wrongly.
local given_up = state == 'written_off' or (state == 'rejected' and found[4])
if not followed and not given_up then return {'nothing'} end
local last_ms = redis.call('GET', guard)
if last_ms and now_ms < tonumber(last_ms) + guard_ms then return {followed and 'nothing' or 'later'} end
redis.call('SET', guard, now_ms, 'PX', guard_ms)
if followed then
  redis.call('ZADD', polls, 'XX', 'LT', now_ms, task_id)
  return {'soon'}
end
tell_of_it()
return {'look'}
