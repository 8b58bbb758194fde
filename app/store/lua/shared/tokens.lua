-- End the browser tokens of a key with it: at an instant if that is sooner than their own end; without one now, for good.
-- Their records lie beside the key's.
local function end_tokens(key, tokens, ends_ms)
  local records = string.match(key, '^(.+:)[^:]+$')
  for _, token_id in ipairs(redis.call('ZRANGEBYSCORE', tokens, ends_ms and '(' .. ends_ms or '-inf', '+inf')) do
    local token = records .. token_id
    if redis.call('EXISTS', token) == 1 then
      if ends_ms then redis.call('HSET', token, 'expires_ms', ends_ms)
      else redis.call('HSET', token, 'state', 'revoked') end
    end
    if ends_ms then redis.call('ZADD', tokens, ends_ms, token_id) end
  end
  if not ends_ms then redis.call('DEL', tokens) end
end
