-- A tenant or one of its keys has changed: whoever has a stream of its open is looked at again, in every process.
local function have_looked_at(tenant) redis.call('PUBLISH', 'rg:news', '!' .. string.match(tenant, ':tenant:(.+)$')) end
