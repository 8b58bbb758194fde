-- A hash as a table.
local function read(name)
  local flat, found = redis.call('HGETALL', name), {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end
-- Whether a key creates nothing more; one that was rotated goes on in the one that took its place.
local function is_revoked(of_key) return of_key.state ~= 'active' and not of_key.successor end
-- What an operator reads of a task's way: instant, word, detail.
local function tell(story, now_ms, word, detail)
  redis.call('RPUSH', story, string.format('%.0f %s %s', now_ms, word, detail or ''))
end
