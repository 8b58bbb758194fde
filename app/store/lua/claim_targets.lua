-- Take receivers that have something due, for one process at a time; failing ones as far as there is room for them.
-- KEYS deliveries delivering
-- ARGV now_ms:int lease_ms:int most:int failing_most:int rest_ms:int
-- RETURNS {member, end of its lease, 1 if it is failing, ...}
local shard, taken = string.match(deliveries, '^(.-:)deliveries$'), {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', deliveries, '-inf', now_ms, 'LIMIT', 0, most)) do
  local held_ms = tonumber(redis.call('ZSCORE', delivering, member) or 0)
  local tenant_id, target = string.match(member, '^(%S+) %S+ (%S+)$')
  local failing = redis.call('HEXISTS', shard .. 'webhook:' .. tenant_id .. ':' .. target, 'failing_ms')
  -- What ends later than any lease can is from a clock that was ahead: it would outlive its process by as much.
  if held_ms > now_ms and held_ms <= now_ms + 2 * lease_ms then
    -- Whoever works on it looks for what is new by itself.
    redis.call('ZADD', deliveries, held_ms, member)
  elseif failing == 1 and failing_most == 0 then
    redis.call('ZADD', deliveries, now_ms + rest_ms, member)
  else
    redis.call('ZADD', deliveries, now_ms + lease_ms, member)
    redis.call('ZADD', delivering, now_ms + lease_ms, member)
    failing_most = failing_most - failing
    for _, part in ipairs({member, now_ms + lease_ms, failing}) do taken[#taken + 1] = part end
  end
end
return taken
