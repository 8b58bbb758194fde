-- Count what is due for the receivers of a shard and not under way, and find since when the oldest of it is.
-- KEYS deliveries
-- ARGV now_ms:int most:int
-- RETURNS {count, since when or ''}
local shard, count, oldest = string.match(deliveries, '^(.-:)deliveries$'), 0, ''
for _, member in ipairs(redis.call('ZRANGE', deliveries, 0, most - 1)) do
  local due = shard .. 'due:' .. string.gsub(member, ' ', ':')
  local here = redis.call('ZCOUNT', due, '-inf', now_ms)
  count = count + here
  if here > 0 then
    local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
    if oldest == '' or tonumber(first) < tonumber(oldest) then oldest = first end
  end
end
return {count, oldest}
