-- Take up to `most` due members and push their time forward, so a dead process's share returns by itself.
-- KEYS schedule
-- ARGV now_ms:int lease_ms:int most:int
-- RETURNS the members taken, soonest due first
local due = redis.call('ZRANGEBYSCORE', schedule, '-inf', now_ms, 'LIMIT', 0, most)
for _, member in ipairs(due) do redis.call('ZADD', schedule, now_ms + lease_ms, member) end
return due
