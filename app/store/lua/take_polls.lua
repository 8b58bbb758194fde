-- Take a share of the status reads that a vendor key may make.
-- USES bucket
-- KEYS budget
-- ARGV now_ms:int per_second:int wanted:int
-- RETURNS {count, wait_ms}
local bucket = look_into(budget, per_second, 1000, now_ms)
local count = math.min(wanted, bucket.left)
if count == 0 then return {0, grows_in_ms(bucket, now_ms)} end
take_from(bucket, count)
return {count, 0}
