-- Take a caller's share of reads, if it may read at all, and tell how it stands with both of its policies.
-- USES bucket caller
-- KEYS epoch tenant key reads key_reads rate key_rate
-- ARGV now_ms:int epoch_id wanted:int
-- RETURNS {'leased', count or -1, creates, reads, wait_ms} | {'refused', reason}; -1: reads are unlimited
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end

local of_reads, of_creates = {}, {}
for record, names in pairs({[tenant] = {reads, rate}, [key] = {key_reads, key_rate}}) do
  local limits = redis.call('HMGET', record, 'reads_per_second', 'creates_per_minute')
  if limits[1] then of_reads[#of_reads + 1] = look_into(names[1], tonumber(limits[1]), 1000, now_ms) end
  if limits[2] then of_creates[#of_creates + 1] = look_into(names[2], tonumber(limits[2]), 60000, now_ms) end
end

local count, wait_ms = -1, 0
for _, bucket in ipairs(of_reads) do
  -- A twentieth of a second's reads at most, so that what one process holds unused is little.
  local share = math.min(wanted, math.max(1, math.floor(bucket.limit / 20)), bucket.left)
  count = count < 0 and share or math.min(count, share)
  if bucket.left < 1 then wait_ms = math.max(wait_ms, grows_in_ms(bucket, now_ms)) end
end
if count > 0 then for _, bucket in ipairs(of_reads) do take_from(bucket, count) end end
return {'leased', count, told(of_creates, now_ms), told(of_reads, now_ms), wait_ms}
