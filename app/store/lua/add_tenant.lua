-- Create a tenant with its limits, unless its id is or ever was another's.
-- USES fields origins
-- KEYS epoch tenant tenants origins audit
-- ARGV epoch_id tenant_id fields entry
-- RETURNS 'added' | 'exists' | 'store_foreign'
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
if redis.call('EXISTS', tenant) == 1 then return 'exists' end
set_fields(tenant, fields)
redis.call('SADD', tenants, tenant_id)
list_origins(origins, tenant)
redis.call('XADD', audit, '*', 'entry', entry)
return 'added'
