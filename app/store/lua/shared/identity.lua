-- Whether the store is not the one that was worked on: emptied, exchanged, or set back to an older copy of itself.
local function is_foreign(epoch, epoch_id) return redis.call('GET', epoch) ~= epoch_id end
-- Each admission and dispatch leaves a mark; the last of them are kept, by their number.
local function add_mark(marks, marks_kept, now_ms, task_id)
  local number = redis.call('HINCRBY', marks, 'number', 1)
  local mark = string.format('%.0f:%s', now_ms, string.sub(task_id, -12))
  redis.call('HSET', marks, number % marks_kept, mark, 'last', mark)
  return {number, mark}
end
-- A mark that was seen must still be there; a higher number alone may be that of others who have seen less.
local function is_set_back(marks, marks_kept, seen_number, seen_mark)
  if seen_number == 0 then return false end
  local found = redis.call('HMGET', marks, 'number', seen_number % marks_kept)
  local number = tonumber(found[1] or 0)
  return number < seen_number or (number < seen_number + marks_kept and found[2] ~= seen_mark)
end
