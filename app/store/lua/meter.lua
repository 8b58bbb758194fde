-- Take a caller's share of reads, if it may read at all, and tell how it stands with both of its policies.
-- USES bucket caller
-- KEYS epoch tenant key reads key_reads rate key_rate
-- ARGV now_ms:int epoch_id wanted:int lease_id life_ms:int
-- RETURNS {'leased', count or -1, creates, reads, wait_ms} | {'refused', reason}; -1: reads are unlimited
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end

-- Reads that are lent may be answered until their time is over: so long they do not come back, and
-- afterwards only as fast as the bucket drains.
local function keep_lent(bucket)
  local live, ended, last_ms = 0, 0, 0
  local flat = redis.call('HGETALL', bucket.name)
  for i = 1, #flat, 2 do
    local count, until_ms = string.match(flat[i + 1], '^(%d+) (%d+)$')
    if count then
      count, until_ms = tonumber(count), tonumber(until_ms)
      if until_ms > now_ms then live = live + count
      elseif count * bucket.period <= (now_ms - until_ms) * bucket.limit then redis.call('HDEL', bucket.name, flat[i])
      else ended, last_ms = ended + count, math.max(last_ms, until_ms) end
    end
  end
  local rest = math.max(0, ended * bucket.period - (now_ms - last_ms) * bucket.limit)
  bucket.used = math.max(bucket.used, live * bucket.period + rest)
  bucket.left = math.max(0, math.floor((bucket.limit * bucket.period - bucket.used) / bucket.period))
end

local of_reads, of_creates = {}, {}
for record, names in pairs({[tenant] = {reads, rate}, [key] = {key_reads, key_rate}}) do
  local limits = redis.call('HMGET', record, 'reads_per_second', 'creates_per_minute')
  if limits[1] then
    local bucket = look_into(names[1], tonumber(limits[1]), 1000, now_ms)
    keep_lent(bucket)
    of_reads[#of_reads + 1] = bucket
  end
  if limits[2] then of_creates[#of_creates + 1] = look_into(names[2], tonumber(limits[2]), 60000, now_ms) end
end

local count, wait_ms = -1, 0
for _, bucket in ipairs(of_reads) do
  -- A twentieth of a second's reads at most, so that what one process holds unused is little.
  local share = math.min(wanted, math.max(1, math.floor(bucket.limit / 20)), bucket.left)
  count = count < 0 and share or math.min(count, share)
  if bucket.left < 1 then wait_ms = math.max(wait_ms, grows_in_ms(bucket, now_ms)) end
end
if count > 0 then
  for _, bucket in ipairs(of_reads) do
    take_from(bucket, count)
    -- One of them is used at once.
    if count > 1 then redis.call('HSET', bucket.name, 'lent:' .. lease_id, string.format('%.0f %.0f', count - 1, now_ms + life_ms))
    else redis.call('HDEL', bucket.name, 'lent:' .. lease_id) end
  end
end
return {'leased', count, told(of_creates, now_ms), told(of_reads, now_ms), wait_ms}
