-- What the shard knows of the pages that may call for a tenant: the same as the tenant's own record says.
local function list_origins(origins, tenant)
  local tenant_id, listed = string.match(tenant, ':tenant:(.+)$'), redis.call('HGET', tenant, 'origins')
  if listed and listed ~= '' then redis.call('HSET', origins, tenant_id, listed) else redis.call('HDEL', origins, tenant_id) end
end
