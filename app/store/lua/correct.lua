-- Book late evidence of what a finished task cost; what its tenant was answered stays as it is.
-- USES record
-- KEYS epoch task ledger story day month audit
-- ARGV now_ms:int epoch_id charged:int family model vendor_id why entry
-- RETURNS {'corrected', difference} | {'unfinished'} | {'store_foreign'}; an empty `entry` leaves no audit
if redis.call('GET', epoch) ~= epoch_id then return {'store_foreign'} end
local found = redis.call('HMGET', task, 'finished_ms', 'charged')
if not found[1] then return {'unfinished'} end
local more = charged - tonumber(found[2] or 0)
if more ~= 0 then
  for _, window in ipairs({day, month}) do
    for _, suffix in ipairs({'', ':' .. family, '@' .. model}) do redis.call('HINCRBY', window, 'settled' .. suffix, more) end
  end
  redis.call('RPUSH', ledger, string.format('%.0f correction %.0f', now_ms, more))
  redis.call('HSET', task, 'charged', charged)
end
if more ~= 0 or entry ~= '' then tell(story, now_ms, 'corrected', why) end
if vendor_id ~= '' then redis.call('HSET', task, 'vendor_id', vendor_id) end
if entry ~= '' then redis.call('XADD', audit, '*', 'entry', entry) end
return {'corrected', string.format('%.0f', more)}
