-- An entry and how long it lives on, in milliseconds; nothing if there is none.
-- KEYS: the entry.
local value = redis.call('GET', KEYS[1])
if not value then
  return false
end
return {value, redis.call('PTTL', KEYS[1])}
