-- The place up to which everything has been told. Where nothing was for a day it is one before all that is to come.
local function newest_place(news, now_ms)
  local last = redis.call('XREVRANGE', news, '+', '-', 'COUNT', 1)[1]
  return last and last[1] or string.format('%.0f-0', now_ms - 60000)
end
-- Whether all that was told after a place is still there: the place itself is, or it was given out when nothing was.
local function has_all_since(news, place, now_ms)
  if redis.call('XRANGE', news, place, place)[1] then return true end
  local at_ms, number = string.match(place, '^(%d+)-(%d+)$')
  if number ~= '0' or tonumber(at_ms) < now_ms - 86400000 or tonumber(at_ms) > now_ms then return false end
  local first = redis.call('XRANGE', news, '-', '+', 'COUNT', 1)[1]
  if not first then return true end
  if tonumber(string.match(first[1], '^%d+')) <= tonumber(at_ms) then return false end
  local facts, found = redis.call('XINFO', 'STREAM', news), {}
  for i = 1, #facts, 2 do found[facts[i]] = facts[i + 1] end
  return found['entries-added'] == found['length']
end
