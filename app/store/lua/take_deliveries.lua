-- Take what is due for a receiver that is held, and hold it on; each attempt gets a number, which its record must name.
-- KEYS deliveries delivering due log webhook tenant
-- ARGV now_ms:int member target held_ms:int lease_ms:int attempt_ms:int most:int
-- RETURNS {'taken', held until, failing since or '', url, secret, secret before, its end, older ones, {message, turn, tries, fields}, ...}
-- RETURNS {'lost'}, held by another | {'gone'}, nothing is to be sent any more
if tonumber(redis.call('ZSCORE', delivering, member) or 0) ~= held_ms then return {'lost'} end
local shard = string.match(deliveries, '^(.-:)deliveries$')
local of_tenant = redis.call('HMGET', tenant, 'state', 'webhook_secret', 'webhook_secret_before', 'webhook_before_ms',
  'webhook_secrets_older')
local found = {false, '', '', of_tenant[2] or '', of_tenant[3] or '', of_tenant[4] or '', of_tenant[5] or ''}
if string.sub(target, 1, 9) ~= 'callback-' then
  found = redis.call('HMGET', webhook, 'state', 'failing_ms', 'url', 'secret', 'secret_before', 'before_ms', 'secrets_older')
  if found[1] ~= 'on' then of_tenant[1] = false end
end
if not of_tenant[1] or of_tenant[1] == 'deleted' then
  redis.call('DEL', due)
  return {'gone'}
end

redis.call('ZADD', deliveries, now_ms + lease_ms, member)
redis.call('ZADD', delivering, now_ms + lease_ms, member)
local answer = {'taken', now_ms + lease_ms}
for place = 2, 7 do answer[#answer + 1] = found[place] or '' end
for _, message_id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now_ms, 'LIMIT', 0, most)) do
  local message, delivery = shard .. 'message:' .. message_id, shard .. 'delivery:' .. target .. ':' .. message_id
  local ends_ms = redis.call('PEXPIRETIME', message)
  if ends_ms < 0 then
    redis.call('ZREM', due, message_id)
    redis.call('ZREM', log, message_id)
  else
    redis.call('ZADD', due, now_ms + attempt_ms, message_id)
    local turn = redis.call('HINCRBY', delivery, 'turns', 1)
    redis.call('PEXPIREAT', delivery, ends_ms)
    local tries = redis.call('HGET', delivery, 'tries') or 0
    answer[#answer + 1] = {message_id, turn, tries, unpack(redis.call('HMGET', message, 'event', 'created_ms', 'body', 'url'))}
  end
end
return answer
