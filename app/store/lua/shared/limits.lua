-- A scope is a tenant or a key: its limits, its set of slots, and the suffix of its figures.
local function why_model_or_rate(scopes, buckets, model, now_ms)
  for _, scope in ipairs(scopes) do
    local models = scope.limits.models
    if models and not string.find(models, ',' .. model .. ',', 1, true) then return 'model_not_allowed', 0 end
  end
  for _, bucket in ipairs(buckets) do
    if bucket.left < 1 then return 'rate_limited', grows_in_ms(bucket, now_ms) end
  end
end
local function is_full(scopes)
  for _, scope in ipairs(scopes) do
    local most = tonumber(scope.limits.tasks_in_flight)
    if most and redis.call('SCARD', scope.slots) >= most then return true end
  end
  return false
end
local function why_credits(scopes, day, month, hold, price_known)
  for _, scope in ipairs(scopes) do
    for window, limit in pairs({[day] = scope.limits.credits_per_day, [month] = scope.limits.credits_per_month}) do
      if price_known == 0 then return 'price_unknown' end
      local spent = redis.call('HMGET', window, 'held' .. scope.suffix, 'settled' .. scope.suffix)
      local total = tonumber(spent[1] or 0) + tonumber(spent[2] or 0) + hold
      if hold > 0 and total > tonumber(limit) then return 'credit_exhausted' end
    end
  end
end
-- Whether a task has to wait behind others or for a slot, and if so, why it may not.
local function waits(limits, full, waiting)
  local may = limits.when_full == 'queue' or (not full and limits.when_vendor_down == 'queue')
  if full and limits.when_full ~= 'queue' then return true, 'too_many_in_flight' end
  if not full and (waiting == 0 or not may) then return false end
  local most = tonumber(limits.max_queued)
  if most and waiting >= most then return true, 'queue_full' end
  return true
end
