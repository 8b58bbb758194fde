-- A bucket counts what was used, in 1/period of a call: it drains by `limit` a millisecond, so a whole one in `period`.
local function look_into(bucket, limit, period, now_ms)
  local kept = redis.call('HMGET', bucket, 'used', 'at_ms')
  -- A stored instant more than a period ahead was written by a clock that has since been set back.
  local last_ms = math.min(tonumber(kept[2] or now_ms), now_ms + period)
  if kept[2] and last_ms < tonumber(kept[2]) then redis.call('HSET', bucket, 'at_ms', last_ms) end
  local at_ms = math.max(last_ms, now_ms)
  local used = math.max(0, tonumber(kept[1] or 0) - (at_ms - last_ms) * limit)
  return {name = bucket, limit = limit, period = period, at_ms = at_ms, used = used,
    left = math.max(0, math.floor((limit * period - used) / period))}
end
-- How long until there is one call more than now; nothing where all are there.
local function grows_in_ms(bucket, now_ms)
  if bucket.limit == 0 then return bucket.period end
  local over = bucket.used - (bucket.limit - bucket.left - 1) * bucket.period
  if bucket.left >= bucket.limit or over <= 0 then return 0 end
  return bucket.at_ms - now_ms + math.ceil(over / bucket.limit)
end
local function take_from(bucket, count)
  bucket.used, bucket.left = bucket.used + count * bucket.period, bucket.left - count
  redis.call('HSET', bucket.name, 'used', bucket.used, 'at_ms', bucket.at_ms)
  redis.call('PEXPIREAT', bucket.name, bucket.at_ms + 2 * bucket.period)
end
-- What callers are told of a policy: the lower limit, the calls left, the time until there is one more; -1: no limit.
local function told(buckets, now_ms)
  local limit, left, wait_ms = -1, 0, 0
  for _, bucket in ipairs(buckets) do
    local fewer = limit < 0 or bucket.left < left
    limit = limit < 0 and bucket.limit or math.min(limit, bucket.limit)
    if fewer then wait_ms = 0 end
    if fewer or bucket.left == left then left, wait_ms = bucket.left, math.max(wait_ms, grows_in_ms(bucket, now_ms)) end
  end
  return {limit, left, wait_ms}
end
