-- Put another secret into a record. The one it had signs along until an instant; those before it, of which two are kept, as long
-- as they were to: whoever got no reply and rotates again leaves receivers with a secret that still signs. An instant that
-- is over ends them all. `names` are the fields for the secret, the one before, its end, and the older ones with theirs.
local function rotate_secret(record, names, secret, now_ms, until_ms)
  local found, older = redis.call('HMGET', record, unpack(names)), ''
  local before = (found[2] and found[2] .. ' ' .. found[3] .. ',' or '') .. (found[4] or '')
  local kept = 0
  for line, ends_ms in string.gmatch(before, '([^,]+ (%d+)),') do
    if until_ms > now_ms and tonumber(ends_ms) > now_ms and kept < 2 then older, kept = older .. line .. ',', kept + 1 end
  end
  if found[1] then redis.call('HSET', record, names[2], found[1], names[3], until_ms) end
  redis.call('HSET', record, names[1], secret, names[4], older)
end
