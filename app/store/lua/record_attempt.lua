-- Record what came of an attempt, with all that follows from it for its message and its endpoint.
-- USES webhook
-- KEYS due delivery attempts message webhooks webhook
-- ARGV now_ms:int target message_id turn:int url verdict next_ms:int line kept:int answers:int disable_after_ms:int
-- RETURNS {'recorded'} | {'disabled', reason} | {'anew'}, the schedule begins anew | {'late'}, a newer attempt counts
-- RETURNS {'again'}, a repeat | {'gone'}
local ends_ms, is_endpoint = redis.call('PEXPIRETIME', message), string.sub(target, 1, 9) ~= 'callback-'
if ends_ms < 0 or (is_endpoint and redis.call('EXISTS', webhook) == 0) then
  redis.call('ZREM', due, message_id)
  return {'gone'}
end
local found = redis.call('HMGET', delivery, 'state', 'turns', 'recorded', 'began', 'anew')
local recorded = tonumber(found[3] or 0)
if recorded == turn then return {'again'} end
redis.call('RPUSH', attempts, line)
redis.call('LTRIM', attempts, -kept, -1)
-- Of older attempts the answer is not kept; in a JSON line the second pattern cannot be a part of it.
local older = redis.call('LINDEX', attempts, -answers - 1)
if older then redis.call('LSET', attempts, -answers - 1, (string.gsub(older, '("answer":").-(","why":")', '%1%2', 1))) end
redis.call('PEXPIREAT', attempts, ends_ms)
local of_this_round, is_latest = turn > tonumber(found[4] or 0), turn == tonumber(found[2] or 0)
if is_latest then redis.call('HSET', delivery, 'recorded', turn) end
redis.call('PEXPIREAT', delivery, ends_ms)
if found[1] == 'delivered' and of_this_round then return {'late'} end
-- Of an address that is the endpoint's no more, nothing is said about the endpoint.
local moved = is_endpoint and redis.call('HGET', webhook, 'url') ~= url

if verdict == 'delivered' then
  if is_endpoint and not moved then
    redis.call('HDEL', webhook, 'failing_ms', 'failures')
    redis.call('HSET', webhook, 'last_ms', now_ms)
  end
  -- Also where a newer attempt is under way: it has arrived.
  if not of_this_round then return {'late'} end
  redis.call('HSET', delivery, 'state', 'delivered', 'delivered_ms', now_ms)
  redis.call('HINCRBY', delivery, 'tries', 1)
  redis.call('ZREM', due, message_id)
  return {'recorded'}
end
if not (of_this_round and is_latest) then return {'late'} end
-- Redelivered while it was under way, or to another address: this attempt was the last of the schedule before.
local anew = moved or tonumber(found[5] or 0) == turn
if anew then
  redis.call('HSET', delivery, 'tries', 0)
  redis.call('HDEL', delivery, 'anew')
  redis.call('ZADD', due, 'XX', now_ms, message_id)
elseif verdict == 'again' then
  redis.call('HINCRBY', delivery, 'tries', 1)
  redis.call('ZADD', due, 'XX', next_ms, message_id)
else
  redis.call('HINCRBY', delivery, 'tries', 1)
  redis.call('HSET', delivery, 'state', 'failed')
  redis.call('ZREM', due, message_id)
end
if moved then return {'anew'} end
local done = {anew and 'anew' or 'recorded'}
if not is_endpoint then return done end
redis.call('HSETNX', webhook, 'failing_ms', now_ms)
redis.call('HINCRBY', webhook, 'failures', 1)
if redis.call('HGET', webhook, 'state') ~= 'on' then return done end
local reason = verdict == 'gone' and 'gone'
if now_ms - tonumber(redis.call('HGET', webhook, 'failing_ms')) >= disable_after_ms then reason = reason or 'failing' end
if not reason then return done end
switch_off(webhooks, webhook, due, reason, now_ms)
return {'disabled', reason}
