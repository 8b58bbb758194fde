-- Record a browser token under its key, with the limits that it is given; it ends with its key at the latest.
-- USES caller fields
-- KEYS epoch tenant key token tokens
-- ARGV now_ms:int epoch_id token_id ends_ms:int litter_ms:int most:int fields
-- RETURNS {'minted', ends_ms} | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
redis.call('ZREMRANGEBYSCORE', tokens, '-inf', now_ms)
if redis.call('ZCARD', tokens) >= most then return {'refused', 'too_many_tokens'} end

ends_ms = math.min(ends_ms, tonumber(redis.call('HGET', key, 'expires_ms') or ends_ms))
set_fields(token, fields)
redis.call('HSET', token, 'expires_ms', ends_ms)
redis.call('PEXPIREAT', token, ends_ms + litter_ms)
redis.call('ZADD', tokens, ends_ms, token_id)
local last = redis.call('ZREVRANGE', tokens, 0, 0, 'WITHSCORES')
redis.call('PEXPIREAT', tokens, tonumber(last[2]) + litter_ms)
return {'minted', string.format('%.0f', ends_ms)}
