-- Forget an id that a notice named: the vendor's task of that id is another one.
-- KEYS task
-- ARGV vendor_id
-- RETURNS how many are left
local left = {}
for each in string.gmatch(redis.call('HGET', task, 'named') or '', '%S+') do
  if each ~= vendor_id then left[#left + 1] = each end
end
if #left > 0 then redis.call('HSET', task, 'named', table.concat(left, ' '))
else redis.call('HDEL', task, 'named') end
return #left
