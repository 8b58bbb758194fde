-- Give a receiver back: it comes due with its next message, and not before an instant.
-- KEYS deliveries delivering due
-- ARGV member held_ms:int not_before_ms:int
-- RETURNS 1; 0 where it is held by another by now, and nothing was changed
if tonumber(redis.call('ZSCORE', delivering, member) or 0) ~= held_ms then return 0 end
redis.call('ZREM', delivering, member)
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
if first[1] then redis.call('ZADD', deliveries, math.max(tonumber(first[2]), not_before_ms), member)
else redis.call('ZREM', deliveries, member) end
return 1
