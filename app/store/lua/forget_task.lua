-- End the days of a finished task: its record, its ledger and its places in the lists.
-- KEYS retires task ledger story lists...
-- ARGV member task_id
-- RETURNS how many keys and entries there still were
local gone = redis.call('DEL', task, ledger, story) + redis.call('ZREM', retires, member)
for _, list in ipairs(lists) do gone = gone + redis.call('ZREM', list, task_id) end
return gone
